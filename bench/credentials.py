"""The certificates of a bench's server and device, by the code that a server uses."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from edgetainer.services import certificates
from edgetainer.services.authority import TUNNEL_NAME, Authority, read_request

DEVICE_ID = "00000000-0000-4000-8000-000000000001"
_DEVICE_KEY, _DEVICE_CERTIFICATE, _AUTHORITY = "key.pem", "certificate.pem", "authority.pem"

__all__ = ["DEVICE_ID", "TUNNEL_NAME", "authority", "device", "enrol", "now"]


def now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


def authority(server_state: Path) -> Authority:
    """The installation's authority, made on first use."""
    return Authority(server_state / "keys", now=now)


def enrol(server_state: Path, device_state: Path) -> None:
    """Give the device its key and certificate."""
    device_state.mkdir(parents=True, exist_ok=True)
    issuer = authority(server_state)
    key = certificates.kept_key(device_state / _DEVICE_KEY)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")]))
        .sign(key, hashes.SHA256())
    )
    pem = request.public_bytes(serialization.Encoding.PEM).decode()
    issued = issuer.issue(read_request(pem), DEVICE_ID)
    (device_state / _DEVICE_CERTIFICATE).write_text(issued.certificate)
    (device_state / _AUTHORITY).write_text(issuer.ca_pem)


def device(device_state: Path) -> tuple[bytes, bytes, bytes]:
    """The device's authorities, certificate and key, each PEM."""
    return (
        (device_state / _AUTHORITY).read_bytes(),
        (device_state / _DEVICE_CERTIFICATE).read_bytes(),
        (device_state / _DEVICE_KEY).read_bytes(),
    )
