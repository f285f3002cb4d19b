"""Whose certificates are good for a client."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.x509.oid import ExtensionOID

from edgetainer.quic.certificates import is_for_servers, verify_client_chain
from edgetainer.quic.errors import CertificateRefused
from tests.authority import (
    Authority,
    PrivateKey,
    ed25519_key,
    for_servers,
    p256,
    shared_authority,
)

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def p384() -> PrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def p521() -> PrivateKey:
    return ec.generate_private_key(ec.SECP521R1())


def koblitz() -> PrivateKey:
    return ec.generate_private_key(ec.SECP256K1())


def rsa_2048() -> PrivateKey:
    return rsa.generate_private_key(65537, 2048)


def rsa_1024() -> PrivateKey:
    return rsa.generate_private_key(65537, 1024)


@pytest.mark.parametrize("make_key", [p256, p384, ed25519_key, rsa_2048])
def test_a_good_leaf_is_returned(make_key: Callable[[], PrivateKey]) -> None:
    authority = shared_authority()
    leaf = authority.client(make_key=make_key).certificate
    assert verify_client_chain([leaf], [authority.certificate], NOW) == leaf


@pytest.mark.parametrize("make_key", [p521, koblitz, rsa_1024, ed448.Ed448PrivateKey.generate])
def test_other_kinds_of_keys_are_refused(make_key: Callable[[], PrivateKey]) -> None:
    authority = shared_authority()
    leaf = authority.client(make_key=make_key).certificate
    with pytest.raises(CertificateRefused, match="key is of a kind"):
        verify_client_chain([leaf], [authority.certificate], NOW)


def test_a_purpose_that_cannot_be_read_is_none() -> None:
    rubbish = x509.UnrecognizedExtension(ExtensionOID.EXTENDED_KEY_USAGE, b"\x30\x80rubbish")
    leaf = shared_authority().client(usage=rubbish).certificate
    assert not is_for_servers(leaf)
    with pytest.raises(CertificateRefused):
        verify_client_chain([leaf], [shared_authority().certificate], NOW)


def test_the_dates_are_judged_at_the_time_given() -> None:
    authority = shared_authority()
    leaf = authority.client().certificate
    for when in (NOW - 20 * DAY, NOW + 40 * DAY):
        with pytest.raises(CertificateRefused, match="date"):
            verify_client_chain([leaf], [authority.certificate], when)


def test_other_authorities_other_purposes_and_no_leaf_are_refused() -> None:
    authority, other = shared_authority(), Authority("other")
    trusted = [authority.certificate]
    for chain in (
        [other.client().certificate],
        [other.client().certificate, other.certificate],
        [authority.client(usage=for_servers()).certificate],
        [authority.certificate],
        [authority.client().certificate] * 5,
        [],
    ):
        with pytest.raises(CertificateRefused):
            verify_client_chain(chain, trusted, NOW)


def test_several_authorities_may_be_trusted() -> None:
    one, two = shared_authority(), Authority("two")
    leaf = two.client().certificate
    assert verify_client_chain([leaf], [one.certificate, two.certificate], NOW) == leaf


def test_the_purpose_of_a_server() -> None:
    authority = shared_authority()
    assert is_for_servers(authority.server().certificate)
    assert not is_for_servers(authority.client().certificate)
    assert is_for_servers(authority.certificate), "none stated admits all"
