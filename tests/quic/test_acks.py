"""When packets are acknowledged, and how rarely that may be."""

from __future__ import annotations

import pytest

from edgetainer.quic.acks import (
    EVERY,
    EVERY_AT_FIRST,
    FIRST_PACKETS,
    LONGEST_DELAY_S,
    PROMPT_DELAY_S,
    AckPolicy,
)
from edgetainer.quic.http3 import Http3Connection
from tests.network import Network
from tests.quic.pair import Pair, Recorder, Source


class Arrivals:
    """Packets that arrive at a policy, which is obeyed."""

    def __init__(self, rtt: float, *, beyond_first: bool = True) -> None:
        self.policy = AckPolicy()
        self.rtt = rtt
        self.due: float | None = None
        self.acks: list[float] = []
        self.now = 0.0
        if beyond_first:
            for _ in range(FIRST_PACKETS):
                self.policy.received(now=0.0, rtt=rtt, in_order=True, due=None)

    def packet(self, after: float, *, in_order: bool = True) -> None:
        self.now += after
        if self.due is not None and self.due <= self.now:
            self.acks.append(self.due)
            self.due = None
        self.due = self.policy.received(now=self.now, rtt=self.rtt, in_order=in_order, due=self.due)
        if self.due <= self.now:
            self.acks.append(self.now)
            self.due = None


def test_the_first_packets_are_acknowledged_in_twos() -> None:
    arrivals = Arrivals(0.3, beyond_first=False)
    for _ in range(FIRST_PACKETS):
        arrivals.packet(0.0001)
    assert len(arrivals.acks) == FIRST_PACKETS // EVERY_AT_FIRST


@pytest.mark.parametrize(("rtt", "delay"), [(0.0005, 0.001), (0.08, 0.01), (0.6, LONGEST_DELAY_S)])
def test_later_ones_a_few_times_in_a_round_trip(rtt: float, delay: float) -> None:
    arrivals = Arrivals(rtt)
    arrivals.packet(0.0001)
    assert arrivals.due == pytest.approx(arrivals.now + delay)
    first = arrivals.due
    arrivals.packet(delay / 4)
    assert arrivals.due == first, "the first one waits, not the last"


def test_a_fast_stream_is_acknowledged_by_count() -> None:
    arrivals = Arrivals(0.08)
    for _ in range(10 * EVERY):
        arrivals.packet(0.000_02)
    assert len(arrivals.acks) == 10


def test_a_gap_is_told_at_once() -> None:
    arrivals = Arrivals(0.3)
    arrivals.packet(0.0001)
    arrivals.packet(0.0001, in_order=False)
    assert arrivals.acks == [arrivals.now]


def test_a_packet_that_comes_singly_is_acknowledged_promptly() -> None:
    arrivals = Arrivals(0.3)
    arrivals.packet(1.0)
    assert arrivals.due == pytest.approx(arrivals.now + PROMPT_DELAY_S)


def test_bulk_costs_few_acknowledgements() -> None:
    """aioquic sends one for every three packets at this rate."""
    pair = Pair(delay=0.04)
    client, server = Recorder(), Recorder()
    pair.channel(server, client)
    quic = pair.client.driver.quic
    Source(pair.network, server.transport, 2_000_000, piece=2_000_000)
    received, sent = quic.statistics().datagrams_received, quic.statistics().datagrams_sent
    pair.network.until(lambda: client.lost is not None)
    statistics = quic.statistics()
    received, sent = statistics.datagrams_received - received, statistics.datagrams_sent - sent
    assert received > 1500
    assert sent < received / 8


def test_the_peers_exponent_is_obeyed() -> None:
    pair = Pair()
    quic = pair.client.driver.quic
    assert quic._remote_ack_delay_exponent == 3
    peer = pair.server_connection.driver.quic
    peer._local_ack_delay_exponent = 5
    parameters = peer._serialize_transport_parameters()
    # A server's parameters name connection ids, which the client checks once more.
    quic._parse_transport_parameters(parameters)
    assert quic._remote_ack_delay_exponent == 5


def test_a_retry_tells_how_long_a_round_trip_takes() -> None:
    """So that a satellite's handshake is not sent three times over."""
    network = Network(delay=0.3)
    network.listen()
    connection = network.run(network.connect())
    recovery = connection.driver.quic._loss
    assert recovery.rtt.initial == pytest.approx(0.6, abs=0.01)
    assert recovery.rtt.min == pytest.approx(0.6, abs=0.05)
    network.pass_time(5.0)
    assert recovery.bytes_in_flight == 0, "what the Retry made void is not in flight"


def test_a_satellites_handshake_is_not_repeated_for_nothing() -> None:
    network = Network(delay=0.3)
    accepted: list[Http3Connection] = []
    server = network.listen(on_connection=accepted.append)
    server._retry._now = network.clock.seconds  # type: ignore[method-assign]
    network.run(network.connect())
    recovery = accepted[0].driver.quic._loss
    assert recovery.rtt.initial == pytest.approx(0.6, abs=0.01)
    assert recovery.packets_lost == 0
    assert accepted[0].driver.quic._packet_number <= 8, (
        "three for the flight, acknowledgements, settings"
    )
