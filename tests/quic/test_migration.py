from __future__ import annotations

import random
from typing import Any

import pytest
from aioquic.quic.connection import MAX_NETWORK_PATHS

from edgetainer.quic.migration import PROBES
from tests.network import SERVER, MemoryCarrier
from tests.quic.pair import Pair, Recorder, pattern


def home(pair: Pair) -> MemoryCarrier:
    """The client's own socket."""
    carrier: Any = pair.client.driver.carrier
    assert isinstance(carrier, MemoryCarrier)
    return carrier


def elsewhere(number: int = 1) -> tuple[str, int]:
    return (f"203.0.113.{number}", 50000 + number)


def another_way(pair: Pair, number: int = 1) -> MemoryCarrier:
    """A new socket of the client."""
    carrier: MemoryCarrier = MemoryCarrier(
        pair.network,
        elsewhere(number),
        lambda data, address: pair.client.datagram_received(data, address, carrier),
        pair.client.driver.batch_done,
    )
    return carrier


def settled(pair: Pair) -> Pair:
    pair.network.pass_time(1)
    return pair


# The same carrier, another local address.


def test_the_server_follows_at_once_when_an_idle_client_says_that_it_moved() -> None:
    pair = settled(Pair(delay=0.04))
    old_id = pair.client.driver.quic._peer_cid.cid
    home(pair).move(elsewhere())
    moved_at = pair.network.clock.seconds()
    pair.client.migrate()
    pair.network.until(lambda: pair.server_connection.peer == elsewhere())
    assert pair.network.clock.seconds() - moved_at < 0.041
    pair.network.pass_time(0.2)
    for connection in (pair.client, pair.server_connection):
        assert connection.driver.quic.migrations == 1
    assert pair.client.driver.quic._peer_cid.cid != old_id, "nobody can link the two addresses"


@pytest.mark.parametrize("seed", range(3))
def test_a_move_on_a_lossy_link_is_told_again_until_it_is_heard(seed: int) -> None:
    pair = settled(Pair(seed=seed, delay=0.15, loss=0.4))
    home(pair).move(elsewhere())
    moved_at = pair.network.clock.seconds()
    pair.client.migrate()
    pair.network.until(lambda: pair.server_connection.peer == elsewhere(), 30)
    print(f"seed {seed}: heard after {pair.network.clock.seconds() - moved_at:.2f} s")
    assert pair.network.clock.seconds() - moved_at < 4


def test_probes_of_a_path_that_never_answers_are_bounded() -> None:
    pair = settled(Pair())
    pair.network.up = False
    pair.client.migrate()
    probes = []
    pair.network.filter = lambda data, *_: bool(len(data) < 1200 or probes.append(data))
    pair.network.pass_time(60)
    assert len(probes) <= PROBES
    pair.network.up = True
    pair.network.run(pair.client.ping())


def test_streams_go_on_through_a_move_both_ways_without_a_byte_lost() -> None:
    pair = settled(Pair(delay=0.02))
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    server.transport.write(pattern(200_000))
    client.transport.write(pattern(200_000))
    pair.network.until(lambda: len(client.data) > 100_000)
    home(pair).move(elsewhere())
    pair.client.migrate()
    pair.network.until(lambda: len(client.data) + len(server.data) == 400_000)
    assert client.data == server.data == pattern(200_000)


def test_fifty_moves_never_run_out_of_connection_ids_or_pile_up_paths() -> None:
    pair = settled(Pair())
    quic, other = pair.client.driver.quic, pair.server_connection.driver.quic
    seen, routes = set(), len(pair.server._drivers)
    for number in range(1, 51):
        seen.add(quic._peer_cid.cid)
        home(pair).move(elsewhere(number))
        pair.client.migrate()
        pair.network.until(lambda: pair.server_connection.peer == home(pair).address)
        pair.network.pass_time(0.2)
    assert len(seen) == 50
    assert len(quic._peer_cid_available) == len(other._peer_cid_available) == 7
    assert len(other._network_paths) <= MAX_NETWORK_PATHS
    assert len(quic._network_paths) == 1
    assert len(pair.server._drivers) == routes, "ids that were retired are forgotten"
    assert quic.migrations == other.migrations == 50


def test_a_burst_of_changes_during_an_outage_uses_no_more_ids_than_there_are() -> None:
    pair = settled(Pair())
    pair.network.up = False
    for number in range(1, 21):
        home(pair).move(elsewhere(number))
        pair.client.migrate()
        pair.network.pass_time(0.1)
    pair.network.up = True
    pair.network.until(lambda: pair.server_connection.peer == elsewhere(20), 3)
    pair.network.pass_time(1)
    assert len(pair.client.driver.quic._peer_cid_available) == 7


# A NAT changes its mind: the client does not know.


@pytest.mark.parametrize("seed", range(3))
def test_ten_rebindings_during_a_transfer_lose_not_a_byte(seed: int) -> None:
    pair = settled(Pair(seed=seed, delay=0.03, loss=0.01))
    chance = random.Random(seed)
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    quic, piece = pair.server_connection.driver.quic, pattern(15_000)
    for number in range(10):
        for end in (client, server):
            end.transport.write(piece)
        pair.network.pass_time(0.08 * chance.random())
        host, port = home(pair).address
        home(pair).move((host, port + 1))
        for end in (client, server):
            end.transport.write(piece)
        pair.network.until(lambda done=number + 1: quic.migrations == done, 5)
    pair.network.until(lambda: len(server.data) + len(client.data) == 40 * len(piece))
    assert server.data == client.data == 20 * piece
    assert pair.client.driver.failure is None


@pytest.mark.parametrize(("address", "kept"), [(("198.51.100.1", 9), True), (elsewhere(), False)])
def test_another_port_of_the_same_host_keeps_what_is_known_of_the_path(
    address: Any, kept: bool
) -> None:
    pair = settled(Pair(delay=0.02))
    pair.network.run(pair.client.ping())
    loss = pair.server_connection.driver.quic._loss
    assert loss._rtt_min == pytest.approx(0.04, rel=0.1)
    home(pair).move(address)
    pair.network.delay = 0.2
    pair.network.run(pair.client.ping())
    pair.network.pass_time(2)
    assert pair.server_connection.peer == address
    assert loss._rtt_min == pytest.approx(0.04 if kept else 0.4, rel=0.1)


# An attacker on the path.


def test_a_packet_replayed_from_elsewhere_moves_nobody_for_long_and_amplifies_little() -> None:
    """The attacker's copy arrives first, and what it provokes goes to a victim."""
    pair = settled(Pair(delay=0.03))
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    server.transport.write(pattern(400_000))
    victim = ("203.0.113.99", 9)
    spoofed: list[int] = []
    received: list[int] = []
    theft = [True]

    def thief(data: bytes, source: Any, destination: Any) -> bool:
        if destination == victim:
            received.append(len(data))
            return False
        if theft and destination == SERVER and len(client.data) > 100_000:
            theft.clear()
            spoofed.append(len(data))
            pair.server.datagram_received(data, victim)
        return True

    pair.network.filter = thief
    pair.network.until(lambda: len(client.data) == 400_000)
    assert client.data == pattern(400_000)
    assert spoofed
    assert sum(received) <= 3 * sum(spoofed)
    assert pair.server_connection.peer == home(pair).address
    assert pair.server_connection.driver.quic.migrations == 0


# Another carrier.


def test_another_carrier_is_used_once_it_works_and_the_old_one_is_closed() -> None:
    pair = settled(Pair(delay=0.04))
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    old, new = home(pair), another_way(pair)
    server.transport.write(pattern(400_000))
    client.transport.write(pattern(400_000))
    pair.network.until(lambda: len(client.data) > 50_000)
    pair.client.migrate(new)
    assert home(pair) is old, "nothing is known of the new one yet"
    pair.network.until(lambda: home(pair) is new, 0.1)
    pair.network.until(lambda: len(client.data) + len(server.data) == 800_000)
    assert client.data == server.data == pattern(400_000)
    pair.network.pass_time(2)
    assert (old.closed, new.closed) == (True, False)
    assert pair.server_connection.peer == new.address
    assert pair.client.driver.quic.migrations == pair.server_connection.driver.quic.migrations == 1
    pair.client.close()
    pair.network.pass_time(5)
    assert new.closed


def test_a_carrier_that_leads_nowhere_is_given_up_and_disturbs_nothing() -> None:
    pair = settled(Pair())
    old, new = home(pair), another_way(pair)
    pair.network.filter = lambda data, source, to: new.address not in (source, to)
    spare = len(pair.client.driver.quic._peer_cid_available)
    pair.client.migrate(new)
    pair.network.pass_time(5)
    pair.network.run(pair.client.ping())
    pair.network.pass_time(25)
    assert (old.closed, new.closed) == (False, True)
    pair.network.run(pair.client.ping())
    assert len(pair.client.driver.quic._peer_cid_available) == spare
    assert pair.client.driver.quic.migrations == 0


def test_the_way_back_leads_to_the_first_carrier_again() -> None:
    """UDP and something else, to and fro; the server has another address there."""
    pair = settled(Pair())
    door = ("192.0.2.1", 443)
    other: MemoryCarrier = MemoryCarrier(
        pair.network,
        door,
        lambda data, address: pair.server.datagram_received(data, address, other),
    )
    for number in range(1, 5):
        way = another_way(pair, number)
        pair.client.migrate(way, door if number % 2 else SERVER)
        pair.network.until(lambda way=way: home(pair) is way, 1)
        assert pair.client.peer == (door if number % 2 else SERVER)
        pair.network.run(pair.client.ping())
        assert pair.server_connection.driver.carrier is (
            other if number % 2 else pair.server._carrier
        )
        pair.network.pass_time(2)
    assert pair.client.driver.quic.migrations == 4
    assert len(pair.network.carriers) == 3


def test_a_connection_that_is_over_takes_no_carrier() -> None:
    pair = settled(Pair())
    pair.client.close()
    for number in (1, 2):
        late = another_way(pair, number)
        pair.client.migrate(late)
        assert late.closed
        pair.network.pass_time(5)
