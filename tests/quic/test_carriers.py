"""Twisted's form of an address."""

from __future__ import annotations

import pytest

from edgetainer.quic.carriers import twisted_address


@pytest.mark.parametrize(("host", "family"), [("192.0.2.1", "IPv4"), ("2001:db8::1", "IPv6")])
def test_addresses_are_twisteds_of_either_family(host: str, family: str) -> None:
    address = twisted_address("UDP", (host, 5))
    assert type(address).__name__ == f"{family}Address"
    assert (address.type, address.host, address.port) == ("UDP", host, 5)
