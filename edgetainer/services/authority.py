"""The installation's own certificate authority: devices and the tunnel trust it.

It signs two things: the certificate with which the tunnel's listener proves
itself to devices, and one certificate per device key. The dates are generous on
purpose. A device whose clock says 1970 or ten years too much must still be able
to connect, and what ends a device's access is the list of accepted keys, at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from edgetainer.errors import EdgetainerError
from edgetainer.services import certificates
from edgetainer.services.certificates import Identity
from edgetainer.storage import files

# What devices expect the tunnel's certificate to name, whatever the address.
TUNNEL_NAME = "tunnel.edgetainer"

# A clock that was never set starts at the epoch.
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR = timedelta(days=365)
_AUTHORITY_LIFE = 40 * _YEAR
_TUNNEL_LIFE = 30 * _YEAR
# Made anew at a start with less than this left: a device may be 10 years ahead.
_TUNNEL_LEAST = 15 * _YEAR
DEVICE_LIFE = 10 * _YEAR
# Servers that share a database may differ by this much.
_BACKDATE = timedelta(days=1)

# Characters of a request in PEM: one with a P-256 key has about 500.
CSR_LIMIT = 8192


@dataclass(frozen=True)
class Request:
    """What counts of a certificate request: whose key it is, proven by its signature."""

    public_key: CertificatePublicKeyTypes
    spki_sha256: str


@dataclass(frozen=True)
class Issued:
    """A device's certificate."""

    certificate: str  # PEM
    expires_at: datetime


def read_request(pem: str) -> Request:
    """Read a device's certificate request (PKCS #10, RFC 2986).

    Only its public key is used; subject and extensions are the sender's fancy.

    :raises EdgetainerError: `csr_invalid`.
    """
    try:
        if len(pem) > CSR_LIMIT:
            raise EdgetainerError(
                "csr_invalid", f"It is longer than {CSR_LIMIT} bytes.", field="csr"
            )
        request = x509.load_pem_x509_csr(pem.encode("ascii"))
        key = request.public_key()
        # First: a stranger's RSA key of 16,384 bits takes a hundred times as long to check.
        if not _usable(key):
            raise EdgetainerError("csr_invalid", "Use a P-256, P-384 or Ed25519 key.", field="csr")
        signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature, TypeError) as error:
        raise EdgetainerError(
            "csr_invalid", "It is not a certificate request in PEM (PKCS #10).", field="csr"
        ) from error
    if not signed:
        raise EdgetainerError(
            "csr_invalid", "Its signature was not made with the key that it holds.", field="csr"
        )
    return Request(key, certificates.spki_sha256(key))


def _usable(key: CertificatePublicKeyTypes) -> bool:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1)
    return isinstance(key, ed25519.Ed25519PublicKey)


class Authority:
    """The installation's authority, kept in a folder.

    :param folder: of the state, for keys; made on first use.
    :param now: the time.
    """

    def __init__(self, folder: Path, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._folder = folder
        # The key first: a crash between the two files leaves nothing to repair.
        self._key = certificates.kept_key(folder / "installation-ca.key")
        self.certificate = self._kept_authority()
        self.tunnel = self._kept_tunnel()

    @property
    def ca_pem(self) -> str:
        """The authority's certificate, for devices and the tunnel's listener."""
        return certificates.pem(self.certificate).decode()

    def issue(self, request: Request, device_id: str) -> Issued:
        """A device's certificate for its key; its common name is the device's row id."""
        now = self._now()
        expires_at = now.replace(microsecond=0) + DEVICE_LIFE
        leaf = certificates.make_leaf(
            request.public_key,
            authority=self.certificate,
            authority_key=self._key,
            subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device_id)]),
            alternatives=[x509.UniformResourceIdentifier(f"urn:uuid:{device_id}")],
            purpose=certificates.CLIENT_AUTH,
            not_before=now - _BACKDATE,
            not_after=expires_at,
        )
        return Issued(certificates.pem(leaf).decode(), expires_at)

    def _kept_authority(self) -> x509.Certificate:
        path = self._folder / "installation-ca.pem"
        kept = certificates.kept_certificate(path)
        if kept is None:
            kept = certificates.make_authority(
                self._key,
                common_name="Edgetainer installation",
                not_before=_ALWAYS,
                not_after=self._now() + _AUTHORITY_LIFE,
            )
            files.write(path, certificates.pem(kept), mode=files.PUBLIC_MODE)
        if kept.public_key() != self._key.public_key():
            # Made anew it would lock every enrolled device out.
            raise EdgetainerError(
                "config_invalid", f"{path} does not belong to the key beside it; restore both."
            )
        return kept

    def _kept_tunnel(self) -> Identity:
        path = self._folder / "tunnel.pem"
        key = certificates.kept_key(self._folder / "tunnel.key")
        kept = certificates.kept_certificate(path)
        if (
            kept is None
            or kept.public_key() != key.public_key()
            or kept.not_valid_after_utc - self._now() < _TUNNEL_LEAST
        ):
            kept = certificates.make_leaf(
                key.public_key(),
                authority=self.certificate,
                authority_key=self._key,
                subject=certificates.name(TUNNEL_NAME),
                alternatives=[x509.DNSName(TUNNEL_NAME)],
                purpose=certificates.SERVER_AUTH,
                not_before=_ALWAYS,
                not_after=min(self._now() + _TUNNEL_LIFE, self.certificate.not_valid_after_utc),
            )
            files.write(path, certificates.pem(kept), mode=files.PUBLIC_MODE)
        return Identity(certificates.pem(kept), certificates.private_pem(key))
