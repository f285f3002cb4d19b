"""Handshakes that are under way are few, and no host has them all."""

from __future__ import annotations

import pytest

from edgetainer.quic.half_open import MAX_HALF_OPEN, MAX_HALF_OPEN_PER_HOST, host_of
from tests.network import Network
from tests.quic.test_server import Stranger


@pytest.fixture
def network() -> Network:
    return Network()


def test_a_handshake_that_stands_still_is_forgotten_after_five_seconds(network: Network) -> None:
    server = network.listen()
    Stranger(network).begin()
    assert len(server._half_open) == 1
    network.pass_time(5)
    assert len(server._half_open) == 0
    assert server._drivers == {}
    assert not server._half_open.hosts


def test_half_open_handshakes_are_few_and_no_host_takes_them_all(network: Network) -> None:
    server = network.listen()
    network.delay = 0.0001
    for port in range(1, MAX_HALF_OPEN_PER_HOST + 5):
        stranger = Stranger(network, port=port)
        stranger.patience = 0.001
        stranger.begin()
    assert len(server._half_open) == MAX_HALF_OPEN_PER_HOST
    network.run(network.connect())
    assert MAX_HALF_OPEN >= 2 * MAX_HALF_OPEN_PER_HOST


def test_a_subscribers_ipv6_network_is_one_host(network: Network) -> None:
    server = network.listen()
    network.delay = 0.0001
    for number in range(1, MAX_HALF_OPEN_PER_HOST + 5):
        stranger = Stranger(network, f"2001:db8:1:2::{number:x}")
        stranger.patience = 0.001
        stranger.begin()
    assert len(server._half_open) == MAX_HALF_OPEN_PER_HOST
    Stranger(network, "2001:db8:1:3::1").begin()
    assert len(server._half_open) == MAX_HALF_OPEN_PER_HOST + 1


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        # A socket for both families names IPv4 hosts so; they are not one network.
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("elsewhere", "elsewhere"),
    ],
)
def test_what_counts_as_one_host(address: str, host: str) -> None:
    assert host_of((address, 1)) == host


def test_turned_away_handshakes_are_told_of_and_do_not_flood_the_log(
    network: Network, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr("edgetainer.quic.half_open.MAX_HALF_OPEN", 0)
    server = network.listen()
    for port in range(50):
        Stranger(network, port=port).begin()
    assert len(said) == 1
    assert "203.0.113.5" in said[0]
    network.pass_time(60)
    # A client sends its first flight twice or so while nobody answers.
    assert len(said) == 2
    assert int(said[1].split()[0]) >= 50
    Stranger(network).begin()
    server.close()
    assert network.clock.getDelayedCalls() == [], "nothing is left to tell"
