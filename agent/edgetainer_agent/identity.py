"""Who the device is: its key, its certificate, and where its server listens.

Two files in the state folder. `key.pem` is made first and stays for the
device's life. `identity.json` holds everything that enrolment brought, in one
file, so that one rename is the moment at which the device is enrolled: before
it the agent enrols again with the same key (the server answers the same), after
it the agent is enrolled whole.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edgetainer.errors import EdgetainerError
from edgetainer_agent.durable import make_private_folder, sweep_temporaries, write_atomically

KEY_FILE = "key.pem"
IDENTITY_FILE = "identity.json"
LOCK_FILE = "lock"
#: A server that lists more addresses than this is not ours.
MAX_ADDRESSES = 16


@dataclass(frozen=True)
class Identity:
    """An enrolled device."""

    #: The device's row id at the server, also its certificate's subject.
    device_id: str
    #: PEM; the device's certificate first, then what leads to the authority.
    certificate: bytes
    #: PEM of the installation's authority, which also signs the tunnel's server.
    authorities: bytes
    private_key: bytes = field(repr=False)
    #: (host, port) pairs of the tunnel's listeners, in order of preference.
    tunnel_addresses: tuple[tuple[str, int], ...]
    #: The name in the tunnel server's certificate.
    server_name: str

    @classmethod
    def from_reply(cls, reply: Any, private_key: bytes) -> Identity:
        """The identity that a registration's reply (parsed JSON) grants to a key.

        :raises EdgetainerError: `protocol_violation` with the field, when the
            reply lacks something or certifies another key.
        """
        if not isinstance(reply, dict):
            raise EdgetainerError("protocol_violation", "the registration's reply is no object")
        tunnel = reply.get("tunnel")
        if not isinstance(tunnel, dict):
            raise _unusable("tunnel", "it is missing")
        addresses = tunnel.get("addresses")
        if not isinstance(addresses, list) or not 1 <= len(addresses) <= MAX_ADDRESSES:
            raise _unusable("tunnel.addresses", f"it must list 1 to {MAX_ADDRESSES} addresses")
        certificate = _text(reply, "certificate").encode()
        authorities = _text(reply, "ca").encode()
        _check_certificate(certificate, authorities, private_key)
        return cls(
            device_id=_text(reply, "device_id"),
            certificate=certificate,
            authorities=authorities,
            private_key=private_key,
            tunnel_addresses=tuple(parse_address(address) for address in addresses),
            server_name=_text(tunnel, "server_name"),
        )

    def document(self) -> dict[str, Any]:
        """The registration's reply again, without the key."""
        return {
            "device_id": self.device_id,
            "certificate": self.certificate.decode(),
            "ca": self.authorities.decode(),
            "tunnel": {
                "addresses": [format_address(address) for address in self.tunnel_addresses],
                "server_name": self.server_name,
            },
        }


class IdentityStore:
    """The state folder's part that says who the device is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folder private and take it for this process.

        Two agents with one identity would throw each other off the server for
        ever, so the second refuses to start.

        :raises EdgetainerError: `config_invalid`: unusable folder, or in use.
        """
        try:
            make_private_folder(self._folder)
            lock = self._open_lock()
        except OSError as error:
            raise _folder_invalid(f"{self._folder} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise _folder_invalid(f"another agent is running on {self._folder}") from None
        self._lock = lock
        sweep_temporaries(self._folder)

    def _open_lock(self) -> int:
        path = self._folder / LOCK_FILE
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            # A worn SD card becomes read-only, and then the device has to be
            # reachable more than ever. A lock needs no writing.
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let another process have the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def key(self) -> bytes:
        """The device's private key as PKCS#8 PEM, made on the first call.

        P-256: every TLS stack takes it, and small devices sign with it fast.

        :raises EdgetainerError: `config_invalid`: the file is not a P-256 key.
        """
        path = self._folder / KEY_FILE
        try:
            pem = path.read_bytes()
        except FileNotFoundError:
            pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            write_atomically(path, pem)
            return pem
        _load_key(pem, path)
        return pem

    def load(self) -> Identity | None:
        """The identity of an enrolled device, or None before enrolment.

        :raises EdgetainerError: `config_invalid`: the files do not fit together.
        """
        path = self._folder / IDENTITY_FILE
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return Identity.from_reply(json.loads(text), self.key())
        except (ValueError, EdgetainerError) as error:
            raise _folder_invalid(
                f"{path} is damaged ({error}); remove it to enrol the device again"
            ) from error

    def save(self, identity: Identity) -> None:
        """Enrol: from the rename in here on, the device has this identity."""
        text = json.dumps(identity.document(), indent=1).encode()
        write_atomically(self._folder / IDENTITY_FILE, text)


def certificate_request(private_key: bytes, name: str) -> bytes:
    """A CSR (PEM, SHA-256) for the key. The server chooses the real subject."""
    key = serialization.load_pem_private_key(private_key, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    # RFC 5280 A.1: a common name has at most 64 characters.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64] or "device")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def parse_address(text: Any) -> tuple[str, int]:
    """`host:port` or `[v6]:port` as a pair.

    :raises EdgetainerError: `protocol_violation`.
    """
    if isinstance(text, str):
        host, separator, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if separator and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
            return host, int(port)
    raise _unusable("tunnel.addresses", f"{text!r} is not host:port")


def format_address(address: tuple[str, int]) -> str:
    """The inverse of `parse_address`."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _load_key(pem: bytes, path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except ValueError as error:
        raise _folder_invalid(f"{path} is not a private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _folder_invalid(f"{path} is not a P-256 key")
    return key


def _check_certificate(certificate: bytes, authorities: bytes, private_key: bytes) -> None:
    try:
        leaf = x509.load_pem_x509_certificates(certificate)[0]
    except ValueError as error:
        raise _unusable("certificate", "it is not PEM") from error
    try:
        x509.load_pem_x509_certificates(authorities)
    except ValueError as error:
        raise _unusable("ca", "it is not PEM") from error
    key = serialization.load_pem_private_key(private_key, password=None)
    if leaf.public_key() != key.public_key():
        raise _unusable("certificate", "it is for another key")


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise _unusable(name, "it is missing")
    return value


def _unusable(name: str, why: str) -> EdgetainerError:
    return EdgetainerError("protocol_violation", f"the registration's {name}: {why}", field=name)


def _folder_invalid(why: str) -> EdgetainerError:
    return EdgetainerError("config_invalid", f"state_dir: {why}", field="state_dir")
