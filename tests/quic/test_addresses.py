from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import DNSLookupError

from edgetainer.quic.addresses import MAX_ADDRESSES, local_address, resolve


class Names:
    """A reactor's resolver whose answers come when the test says so."""

    def __init__(self) -> None:
        self.nameResolver = self
        self.asked: list[str] = []

    def resolveHostName(self, receiver: Any, host: str) -> None:
        self.asked.append(host)
        self.receiver = receiver
        receiver.resolutionBegan(self)

    def answer(self, *addresses: Any) -> None:
        for address in addresses:
            self.receiver.addressResolved(address)
        self.receiver.resolutionComplete()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_addresses_are_what_they_are(host: str) -> None:
    names, got = Names(), []
    resolve(names, host).addCallback(got.append)
    assert got == [[host]]
    assert names.asked == []


def test_all_addresses_of_a_name_once_and_in_order() -> None:
    names, got = Names(), []
    resolve(names, "server.example").addCallback(got.append)
    assert got == []
    names.answer(
        IPv6Address("TCP", "2001:db8::1", 0),
        UNIXAddress("/tmp/x"),
        IPv4Address("TCP", "192.0.2.1", 0),
        IPv4Address("UDP", "192.0.2.1", 0),
    )
    assert names.asked == ["server.example"]
    assert got == [["2001:db8::1", "192.0.2.1"]]


def test_a_name_without_addresses() -> None:
    names, failed = Names(), []
    resolve(names, "nowhere.example").addErrback(failed.append)
    names.answer()
    assert failed[0].check(DNSLookupError)


def test_a_name_with_too_many() -> None:
    names, got = Names(), []
    resolve(names, "many.example").addCallback(got.append)
    names.answer(*(IPv4Address("TCP", f"192.0.2.{n}", 0) for n in range(50)))
    assert len(got[0]) == MAX_ADDRESSES


def test_an_answer_after_cancelling_is_ignored() -> None:
    names, failed = Names(), []
    waiting = resolve(names, "slow.example")
    waiting.addErrback(failed.append)
    waiting.cancel()
    names.answer(IPv4Address("TCP", "192.0.2.1", 0))
    assert len(failed) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_kernel_says_where_datagrams_would_leave(host: str) -> None:
    assert local_address(host, 9) == host


def test_without_a_route_there_is_no_local_address() -> None:
    # Linux refuses it as a destination unless broadcasting was asked for.
    assert local_address("255.255.255.255", 9) is None
