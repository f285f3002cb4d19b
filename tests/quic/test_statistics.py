"""What is counted about a connection, against what the network saw."""

from __future__ import annotations

import pytest

from edgetainer.quic.schedule import Priority
from edgetainer.quic.statistics import Statistics
from tests.quic.pair import Echo, Pair, Recorder, pattern


def echoed(pair: Pair, size: int) -> None:
    """Send so many bytes to the client and back."""
    there, back = Recorder(), Echo()
    pair.channel(there, back)
    there.transport.write(pattern(size))
    pair.network.until(lambda: len(there.data) == size)


def test_both_ends_count_what_the_network_carried() -> None:
    pair = Pair(delay=0.04)
    echoed(pair, 200_000)
    pair.network.pass_time(2)
    client, server = pair.client.statistics(), pair.server_connection.statistics()
    assert client.datagrams_sent + server.datagrams_sent + 1 == pair.network.carried  # Retry
    assert server.datagrams_received == client.datagrams_sent - 1  # the one before Retry
    assert client.datagrams_received == server.datagrams_sent + 1
    assert client.bytes_sent > 200_000
    assert server.bytes_received < client.bytes_sent
    assert client.packets_lost == server.packets_lost == 0
    assert server.bytes_in_flight == 0
    assert server.congestion_window > 10_000
    assert server.datagram_size >= 1200
    assert server.carrier == "udp"


def test_bytes_are_counted_by_class_and_once_however_often_they_were_sent() -> None:
    pair = Pair(seed=4, loss=0.05, delay=0.02)
    there, back = Recorder(), Recorder()
    pair.channel(there, back)
    for transport in (there.transport, back.transport):
        transport.set_priority(Priority.BULK)
    before = pair.client.statistics().received_by_class
    there.transport.write(pattern(100_000))
    pair.network.until(lambda: len(back.data) == 100_000)
    sent = pair.server_connection.statistics().sent_by_class
    received = pair.client.statistics().received_by_class
    assert sent[Priority.BULK] == received[Priority.BULK] == 100_000
    assert received[Priority.REQUEST] == before[Priority.REQUEST] > 0
    assert sent[Priority.INTERACTIVE] == 0


def test_round_trips_are_told_in_seconds() -> None:
    pair = Pair(delay=0.04)
    echoed(pair, 10_000)
    numbers = pair.server_connection.statistics()
    assert numbers.rtt == pytest.approx(0.08, abs=0.02)
    assert numbers.min_rtt == pytest.approx(0.08, abs=0.01)


def test_loss_is_counted_where_packets_are_lost() -> None:
    pair = Pair(seed=4, loss=0.05, delay=0.02)
    echoed(pair, 300_000)
    numbers = pair.client.statistics()
    assert 0.01 < numbers.loss < 0.2
    assert numbers.packets_lost < numbers.packets_sent


def test_before_anything_was_sent_nothing_was_lost() -> None:
    nothing = Statistics(
        rtt=None,
        min_rtt=None,
        packets_sent=0,
        packets_lost=0,
        rate=None,
        congestion_window=0,
        bytes_in_flight=0,
        datagrams_sent=0,
        datagrams_received=0,
        bytes_sent=0,
        bytes_received=0,
        sent_by_class={},
        received_by_class={},
        migrations=0,
        carrier="udp",
        datagram_size=1200,
    )
    assert nothing.loss == 0.0


def test_each_new_address_of_the_peer_is_a_migration() -> None:
    pair = Pair()
    assert pair.server_connection.statistics().migrations == 0
    for host in ("203.0.113.5", "203.0.113.6"):
        pair.client.driver.carrier.move((host, 5000))  # type: ignore[attr-defined]
        pair.network.run(pair.client.ping())
        pair.network.pass_time(1)  # for the path to prove to be the peer's
    assert pair.server_connection.peer[0] == "203.0.113.6"
    assert pair.server_connection.statistics().migrations == 2


def test_the_silence_that_a_packet_of_the_peer_ended() -> None:
    pair = Pair()
    quic = pair.client.driver.quic
    pair.network.pass_time(5)
    quic.take_silence()
    pair.network.pass_time(30)
    pair.network.run(pair.server_connection.ping())
    assert quic.take_silence() == pytest.approx(35, abs=0.5)
    assert quic.take_silence() == 0.0
    pair.network.pass_time(30)
    # We asked ourselves, so that the answer proves nothing of the silence before.
    pair.network.run(pair.client.ping())
    assert quic.take_silence() < 1.0
