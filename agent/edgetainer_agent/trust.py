"""Whom the device believes to be its server's HTTPS port."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.web.client import BrowserLikePolicyForHTTPS

from edgetainer.errors import EdgetainerError


def https_policy(ca_file: Path | None) -> BrowserLikePolicyForHTTPS:
    """Trust in the authorities in `ca_file`, or in the system's.

    :raises EdgetainerError: `config_invalid` naming `ca_file`.
    """
    if ca_file is None:
        return BrowserLikePolicyForHTTPS()
    try:
        authorities = x509.load_pem_x509_certificates(ca_file.read_bytes())
    except (OSError, ValueError) as error:
        raise EdgetainerError(
            "config_invalid", f"ca_file: {ca_file} holds no certificate", field="ca_file"
        ) from error
    return BrowserLikePolicyForHTTPS(
        trustRootFromCertificates(
            [Certificate.loadPEM(authority.public_bytes(Encoding.PEM)) for authority in authorities]
        )
    )
