"""Making keys, certificates and requests: what the two authorities share."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from edgetainer.errors import EdgetainerError
from edgetainer.storage import files

PrivateKey = ec.EllipticCurvePrivateKey

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Identity:
    """A certificate chain and its private key, both PEM."""

    certificate_chain: bytes
    private_key: bytes


def spki_sha256(key: CertificatePublicKeyTypes) -> str:
    """The fingerprint by which a public key is known, hexadecimal."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def kept_key(path: Path) -> PrivateKey:
    """The P-256 private key kept at `path`; made where there is none.

    :raises EdgetainerError: `config_invalid` when the file holds something else.
    """
    pem = files.read(path)
    if pem is None:
        key = ec.generate_private_key(ec.SECP256R1())
        files.write(path, private_pem(key))
        return key
    try:
        loaded = load_pem_private_key(pem, password=None)
    except ValueError as error:
        raise EdgetainerError("config_invalid", f"{path} is not a private key.") from error
    if not isinstance(loaded, PrivateKey):
        raise EdgetainerError("config_invalid", f"{path} is not an ECDSA private key.")
    return loaded


def kept_certificate(path: Path) -> x509.Certificate | None:
    """The certificate kept at `path`, or None where there is none.

    :raises EdgetainerError: `config_invalid` when the file holds something else.
    """
    pem = files.read(path)
    if pem is None:
        return None
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise EdgetainerError("config_invalid", f"{path} is not a certificate.") from error


def private_pem(key: PrivateKey) -> bytes:
    """The key as unencrypted PKCS #8."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem(certificate: x509.Certificate) -> bytes:
    """The certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def name(common_name: str) -> x509.Name:
    """A subject or issuer of our own."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Edgetainer"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def general_name(host: str) -> x509.GeneralName:
    """A host name, or an IP address, as a subject alternative name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)


def make_authority(
    key: PrivateKey,
    *,
    common_name: str,
    not_before: datetime,
    not_after: datetime,
    constraints: x509.NameConstraints | None = None,
) -> x509.Certificate:
    """A self-signed authority that may sign leaves and no further authority."""
    builder = _builder(key.public_key(), name(common_name), name(common_name))
    builder = builder.not_valid_before(not_before).not_valid_after(not_after)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    return builder.sign(key, hashes.SHA256())


def make_leaf(
    public_key: CertificatePublicKeyTypes,
    *,
    authority: x509.Certificate,
    authority_key: PrivateKey,
    subject: x509.Name,
    alternatives: Sequence[x509.GeneralName],
    purpose: ObjectIdentifier,
    not_before: datetime,
    not_after: datetime,
) -> x509.Certificate:
    """A certificate for one purpose (`SERVER_AUTH` or `CLIENT_AUTH`)."""
    builder = _builder(public_key, subject, authority.subject)
    builder = builder.not_valid_before(not_before).not_valid_after(not_after)
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )


def _builder(
    public_key: CertificatePublicKeyTypes, subject: x509.Name, issuer: x509.Name
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
