"""Connections are counted by address and in all, and given back."""

from __future__ import annotations

from edgetainer.gateway.limits import ConnectionCount, Limits


def test_each_address_and_all_together_are_bounded() -> None:
    count = ConnectionCount(Limits(per_address=2, connections=3))
    assert [count.admit("a") for _ in range(3)] == [True, True, False]
    assert [count.admit("b"), count.admit("c")] == [True, False]
    count.leave("a")
    assert [count.admit("c"), count.admit("a")] == [True, False]
    for address in ("a", "b", "c"):
        count.leave(address)
    assert count.total == 0
    assert not count._by_address, "addresses of the past are forgotten"


def test_an_ipv6_network_is_one_address_and_each_ipv4_address_another() -> None:
    count = ConnectionCount(Limits(per_address=2))
    assert [count.admit(f"2001:db8::{n}") for n in range(3)] == [True, True, False]
    assert count.held("2001:db8::ffff") == 2
    assert count.admit("2001:db8:0:1::1")
    assert [count.admit(f"::ffff:192.0.2.{n}") for n in range(4)] == [True] * 4


def test_the_trusted_count_in_all_only() -> None:
    count = ConnectionCount(Limits(per_address=1, connections=3))
    assert count.admit("a")
    count.trust("a")
    assert [count.admit("a"), count.admit("a"), count.admit("b")] == [True, False, True]
    assert count.total == 3
    count.leave("a", trusted=True)
    assert count.held("a") == 1
    count.leave("a")
    count.leave("b")
    assert count.total == 0
    assert not count._by_address
