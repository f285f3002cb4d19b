"""Whose certificates are good for a client."""

from __future__ import annotations

import datetime

import pytest

from edgetainer.quic.certificates import is_for_servers, verify_client_chain
from edgetainer.quic.errors import CertificateRefused
from tests.authority import Authority, ed25519_key, p256, shared_authority

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.mark.parametrize("make_key", [p256, ed25519_key])
def test_a_good_leaf_is_returned(make_key) -> None:  # type: ignore[no-untyped-def]
    authority = shared_authority()
    leaf = authority.client(make_key=make_key).certificate
    assert verify_client_chain([leaf], [authority.certificate], NOW) == leaf


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
        [authority.client(server_usage=True).certificate],
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
