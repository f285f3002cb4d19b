"""Self-issued TLS: good for our names, and for no other."""

from __future__ import annotations

import datetime
import ssl
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from edgetainer.services import certificates
from edgetainer.services.web_authority import WebAuthority

NOW = datetime.datetime(2026, 11, 23, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
APPS = "apps.edgetainer.localhost"


def _make(folder, *, now=NOW, console_host="localhost", apps_domain=APPS):
    return WebAuthority(folder, console_host=console_host, apps_domain=apps_domain, now=lambda: now)


def _leaf(web):
    return x509.load_pem_x509_certificate(web.server.certificate_chain)


def _verify(leaf, web, host, now=NOW):
    ca = x509.load_pem_x509_certificate(web.ca_file.read_bytes())
    builder = PolicyBuilder().store(Store([ca])).time(now)
    return builder.build_server_verifier(x509.DNSName(host)).verify(leaf, [])


@pytest.mark.parametrize("host", ["localhost", f"device.{APPS}", f"web--device.{APPS}"])
def test_our_names(tmp_path, host):
    web = _make(tmp_path)
    assert len(_verify(_leaf(web), web, host)) == 2


@pytest.mark.parametrize("host", ["example.com", f"a.b.{APPS}", "edgetainer.localhost"])
def test_other_names(tmp_path, host):
    web = _make(tmp_path)
    with pytest.raises(VerificationError):
        _verify(_leaf(web), web, host)


@pytest.mark.parametrize(("host", "good"), [(f"x.{APPS}", True), ("bank.example", False)])
def test_the_authority_can_vouch_for_nothing_else(tmp_path, host, good):
    """What a thief of its key could sign for."""
    web = _make(tmp_path)
    stolen = certificates.kept_key(tmp_path / "ca.key")
    leaf = certificates.make_leaf(
        ec.generate_private_key(ec.SECP256R1()).public_key(),
        authority=web.certificate,
        authority_key=stolen,
        subject=certificates.name("thief"),
        alternatives=[x509.DNSName(host)],
        purpose=certificates.SERVER_AUTH,
        not_before=NOW,
        not_after=NOW + DAY,
    )
    if good:
        _verify(leaf, web, host)
    else:
        with pytest.raises(VerificationError):
            _verify(leaf, web, host)


def test_openssl_takes_it(tmp_path):
    web = _make(tmp_path, now=datetime.datetime.now(datetime.UTC))
    client = ssl.create_default_context(cafile=str(web.ca_file))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(web.server.certificate_chain + web.server.private_key)
    server.load_cert_chain(chain)

    def shake(host):
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = [
            client.wrap_bio(to_client, to_server, server_hostname=host),
            server.wrap_bio(to_server, to_client, server_side=True),
        ]
        for _ in range(4):
            for end in ends:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        return ends[0].version()

    assert shake("localhost") == "TLSv1.3"
    assert shake(f"web--d.{APPS}") == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake("example.com")


def test_it_stays_what_it_was_until_it_ages(tmp_path):
    first = _make(tmp_path)
    again = _make(tmp_path, now=NOW + 200 * DAY)
    assert again.server == first.server
    assert again.certificate == first.certificate
    aged = _make(tmp_path, now=NOW + 300 * DAY)
    assert aged.certificate == first.certificate
    assert _leaf(aged).not_valid_after_utc == NOW + 697 * DAY
    _verify(_leaf(aged), aged, "localhost", NOW + 300 * DAY)
    for path in tmp_path.iterdir():
        expected = 0o600 if path.suffix == ".key" else 0o644
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_other_names_make_another_authority(tmp_path):
    first = _make(tmp_path)
    second = _make(tmp_path, console_host="console.example", apps_domain="apps.example")
    assert second.certificate != first.certificate
    _verify(_leaf(second), second, "console.example")
    _verify(_leaf(second), second, "d.apps.example")


def test_an_address_instead_of_a_name(tmp_path):
    web = _make(tmp_path, console_host="192.0.2.1")
    names = _leaf(web).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    _verify(_leaf(web), web, f"d.{APPS}")


def test_an_aged_authority_is_replaced(tmp_path):
    first = _make(tmp_path)
    late = NOW + 3400 * DAY
    second = _make(tmp_path, now=late)
    assert second.certificate != first.certificate
    _verify(_leaf(second), second, "localhost", late)
