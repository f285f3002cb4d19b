"""The installation's authority: what it signs, and what a device can make of it."""

from __future__ import annotations

import datetime
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from edgetainer.errors import EdgetainerError
from edgetainer.quic.certificates import verify_client_chain
from edgetainer.quic.errors import CertificateRefused
from edgetainer.services.authority import TUNNEL_NAME, Authority, read_request
from edgetainer.services.certificates import spki_sha256

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
YEAR = datetime.timedelta(days=365)
DEVICE = "0b6c7a52-25b5-4f7c-9d7d-8b2f1c9f0001"


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "keys", now=lambda: NOW)


def request_pem(key, *, algorithm=..., subject="whoever I like to be"):
    """A certificate request as an agent makes it."""
    if algorithm is ...:
        algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=3), critical=True)
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM).decode()


KEYS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_device_certificate(authority, kind):
    key = KEYS[kind]()
    request = read_request(request_pem(key))
    assert request.spki_sha256 == spki_sha256(key.public_key())
    issued = authority.issue(request, DEVICE)
    leaf = x509.load_pem_x509_certificate(issued.certificate.encode())
    assert leaf.public_key() == key.public_key()
    # Nothing of the request but its key.
    assert [a.value for a in leaf.subject] == [DEVICE]
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca is False
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert leaf.not_valid_before_utc < NOW
    assert issued.expires_at == leaf.not_valid_after_utc
    found = verify_client_chain([leaf], [authority.certificate], NOW)
    assert found.subject.rfc4514_string() == f"CN={DEVICE}"
    with pytest.raises(CertificateRefused):
        verify_client_chain([leaf], [authority.certificate], issued.expires_at + YEAR)


def test_another_installations_certificate_is_not_ours(authority, tmp_path):
    other = Authority(tmp_path / "other", now=lambda: NOW)
    issued = other.issue(read_request(request_pem(KEYS["P-256"]())), DEVICE)
    leaf = x509.load_pem_x509_certificate(issued.certificate.encode())
    with pytest.raises(CertificateRefused):
        verify_client_chain([leaf], [authority.certificate], NOW)


@pytest.mark.parametrize("years", [-56, 0, 10], ids=["clock at 1970", "now", "ten years ahead"])
def test_a_device_trusts_the_tunnel_whatever_its_clock_says(authority, years):
    moment = max(NOW + years * YEAR, datetime.datetime(1970, 1, 1, 0, 1, tzinfo=datetime.UTC))
    leaf = x509.load_pem_x509_certificate(authority.tunnel.certificate_chain)
    ca = x509.load_pem_x509_certificate(authority.ca_pem.encode())
    verifier = (
        PolicyBuilder()
        .store(Store([ca]))
        .time(moment)
        .build_server_verifier(x509.DNSName(TUNNEL_NAME))
    )
    assert verifier.verify(leaf, []) == [leaf, ca]


def test_it_stays_what_it_was(tmp_path, authority):
    again = Authority(tmp_path / "keys", now=lambda: NOW + YEAR)
    assert again.ca_pem == authority.ca_pem
    assert again.tunnel == authority.tunnel
    for path in (tmp_path / "keys").iterdir():
        expected = 0o600 if path.suffix == ".key" else 0o644
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_the_tunnels_certificate_is_renewed_in_time(tmp_path, authority):
    later = Authority(tmp_path / "keys", now=lambda: NOW + 16 * YEAR)
    assert later.tunnel.certificate_chain != authority.tunnel.certificate_chain
    assert later.tunnel.private_key == authority.tunnel.private_key
    assert later.ca_pem == authority.ca_pem


def test_killed_between_key_and_certificate(tmp_path, authority):
    (tmp_path / "keys" / "installation-ca.pem").unlink()
    (tmp_path / "keys" / "tunnel.pem").unlink()
    again = Authority(tmp_path / "keys", now=lambda: NOW)
    assert again.certificate.public_key() == authority.certificate.public_key()


@pytest.mark.parametrize("name", ["installation-ca.key", "installation-ca.pem", "tunnel.pem"])
def test_files_that_were_damaged_are_named(tmp_path, authority, name):
    (tmp_path / "keys" / name).write_bytes(b"nonsense")
    with pytest.raises(EdgetainerError, match=name) as caught:
        Authority(tmp_path / "keys", now=lambda: NOW)
    assert caught.value.code == "config_invalid"


def test_a_foreign_key_beside_the_certificate_is_refused(tmp_path, authority):
    other = Authority(tmp_path / "other", now=lambda: NOW)
    (tmp_path / "keys" / "installation-ca.pem").write_text(other.ca_pem)
    with pytest.raises(EdgetainerError, match="restore both"):
        Authority(tmp_path / "keys", now=lambda: NOW)


def _tampered():
    """A request whose signature does not fit."""
    good = request_pem(KEYS["P-256"]())
    der = bytearray(x509.load_pem_x509_csr(good.encode()).public_bytes(serialization.Encoding.DER))
    der[der.index(b"whoever")] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    "make",
    [
        lambda: "",
        lambda: "hello",
        lambda: "é",
        lambda: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        lambda: "x" * 9000,
        _tampered,
        lambda: request_pem(rsa.generate_private_key(65537, 2048)),
        lambda: request_pem(ec.generate_private_key(ec.SECP521R1())),
    ],
    ids=["empty", "text", "not ascii", "broken", "long", "tampered", "RSA", "P-521"],
)
def test_requests_that_are_not_usable(make):
    with pytest.raises(EdgetainerError) as caught:
        read_request(make())
    assert (caught.value.code, caught.value.field) == ("csr_invalid", "csr")


def test_the_kind_of_key_is_looked_at_before_its_signature():
    """Checking the signature of the largest RSA key is work that a stranger could ask for."""
    good = x509.load_pem_x509_csr(request_pem(rsa.generate_private_key(65537, 2048)).encode())
    der = bytearray(good.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der))
    with pytest.raises(EdgetainerError, match="Use a P-256, P-384 or Ed25519 key"):
        read_request(forged.public_bytes(serialization.Encoding.PEM).decode())
