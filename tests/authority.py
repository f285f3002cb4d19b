"""A small certificate authority for tests, made afresh for each run.

The TLS engine checks dates on the wall clock, so certificates cannot be kept
as fixtures: they would expire, and a fake clock does not reach them.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | rsa.RSAPrivateKey
)


def p256() -> PrivateKey:
    """A new key on the curve that devices use by default."""
    return ec.generate_private_key(ec.SECP256R1())


def ed25519_key() -> PrivateKey:
    """A new Ed25519 key."""
    return ed25519.Ed25519PrivateKey.generate()


def for_servers() -> x509.ExtendedKeyUsage:
    """What a server's leaf says that it is for."""
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Leaf:
    """A certificate and its private key, both as PEM and as objects."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


class Authority:
    """One authority that signs leaves for servers and for clients."""

    def __init__(self, name: str = "test authority") -> None:
        self._key = p256()
        public = self._key.public_key()
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(name))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_now() - datetime.timedelta(days=30))
            .not_valid_after(_now() + datetime.timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.KeyUsage(False, False, False, False, False, True, True, False, False),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def server(self, name: str = "server.test") -> Leaf:
        """A leaf for a TLS server of this name."""
        return self._leaf(name, for_servers(), san=name)

    def client(
        self,
        name: str = "device",
        *,
        make_key: Callable[[], PrivateKey] = p256,
        usage: x509.ExtensionType | None = None,
        expired: bool = False,
        san: str | None = None,
    ) -> Leaf:
        """A leaf for a TLS client; `usage` and `expired` spoil it on purpose."""
        usage = usage or x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._leaf(name, usage, make_key=make_key, expired=expired, san=san)

    def _leaf(
        self,
        name: str,
        usage: x509.ExtensionType,
        *,
        san: str | None = None,
        make_key: Callable[[], PrivateKey] = p256,
        expired: bool = False,
    ) -> Leaf:
        key = make_key()
        ends = _now() + datetime.timedelta(days=-1 if expired else 30)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_now() - datetime.timedelta(days=10))
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if san is not None:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(san)]), critical=False
            )
        return Leaf(builder.sign(self._key, hashes.SHA256()), key)


@lru_cache(maxsize=1)
def shared_authority() -> Authority:
    """The authority of this test run; making one takes a millisecond or two."""
    return Authority()
