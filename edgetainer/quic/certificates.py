"""Whether a chain of certificates is good for a TLS client.

The web's profile is too narrow for machines that identify themselves by key:
it wants a DNS name in every leaf. This one wants a chain to a given authority,
dates that hold and the purpose "client authentication" (RFC 5280).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from edgetainer.quic.errors import CertificateRefused

MAX_CHAIN = 4
"""Certificates accepted in one chain: each costs a signature check."""

MIN_RSA_BITS = 2048


def _for_clients(
    policy: Policy, certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None
) -> None:
    if usage is None or ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise ValueError("the certificate is not for client authentication")


def _check_key(certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(
        key.curve, ec.SECP256R1 | ec.SECP384R1
    ):
        return
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return
    raise CertificateRefused("The certificate's key is of a kind that is not accepted")


def is_for_servers(certificate: x509.Certificate) -> bool:
    """Whether a certificate's purpose, where it states one, admits a TLS server."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return ExtendedKeyUsageOID.SERVER_AUTH in usage


def verify_client_chain(
    chain: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
    now: datetime.datetime,
) -> x509.Certificate:
    """Check a client's certificates; return its leaf.

    :param chain: what the client sent, leaf first.
    :param authorities: the certificates that are trusted to sign clients.
    :param now: the time that the dates must hold at, with its time zone.
    :raises CertificateRefused: when the chain, a date, the purpose or the kind of
        key is not acceptable; its text may be shown to the client.
    """
    if not chain:
        raise CertificateRefused("A client certificate is required")
    if len(chain) > MAX_CHAIN:
        raise CertificateRefused("The certificate chain is too long")
    leaf, *intermediates = chain
    try:
        _check_key(leaf)
        verifier = (
            PolicyBuilder()
            .store(Store(list(authorities)))
            .time(now)
            .max_chain_depth(MAX_CHAIN - 1)
            .extension_policies(
                ca_policy=ExtensionPolicy.webpki_defaults_ca(),
                ee_policy=ExtensionPolicy.permit_all().require_present(
                    x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _for_clients
                ),
            )
            .build_client_verifier()
        )
        verifier.verify(leaf, intermediates)
    except VerificationError as exc:
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            raise CertificateRefused("The certificate is not valid at this date") from exc
        raise CertificateRefused(
            "The certificate was not issued for client authentication by an accepted authority"
        ) from exc
    except ValueError as exc:
        raise CertificateRefused("The certificate cannot be read") from exc
    return leaf
