"""What is sent again, when, and what is taken back; in the seconds of a fake clock."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from aioquic.quic.congestion.base import QuicCongestionControl, register_congestion_control
from aioquic.quic.congestion.reno import RenoCongestionControl
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicDeliveryState, QuicSentPacket
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.tls import Epoch

from edgetainer.quic.recovery import (
    EARLY_PROBE_INTERVAL,
    MAX_PROBE_INTERVAL,
    REMEMBERED_PACKETS,
    Recovery,
)
from tests.quic.pair import Pair, Recorder, Source, pattern

ACKED, LOST = QuicDeliveryState.ACKED, QuicDeliveryState.LOST


class Watched(RenoCongestionControl):
    """Reno, which writes down what it was told last."""

    def __init__(self, *, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size=max_datagram_size)
        self.lost: list[int] = []
        self.undone: list[int] = []
        self.acks = 0

    def on_packets_lost(self, *, now: float, packets: Any) -> None:
        packets = list(packets)
        self.lost += [packet.packet_number for packet in packets]
        super().on_packets_lost(now=now, packets=packets)

    def on_ack_processed(self, now: float) -> None:
        self.acks += 1

    def on_spurious_loss(self, now: float, packets: list[QuicSentPacket]) -> None:
        self.undone += [packet.packet_number for packet in packets]


def make_watched(*, max_datagram_size: int) -> QuicCongestionControl:
    return Watched(max_datagram_size=max_datagram_size)


register_congestion_control("watched", make_watched)


class Sending:
    """Recovery of an established connection, and the fates of what it was told was sent."""

    def __init__(self, *, initial_rtt: float = 0.1) -> None:
        self.probes = 0
        self.recovery = Recovery(
            congestion_control_algorithm="watched",
            initial_rtt=initial_rtt,
            max_datagram_size=1200,
            peer_completed_address_validation=True,
            send_probe=self._probe,
        )
        self.recovery.handshake_confirmed = True
        self.space = QuicPacketSpace(is_application_data=True)
        self.recovery.spaces = [self.space]
        self.controller: Any = self.recovery._cc
        self.fates: dict[int, list[QuicDeliveryState]] = {}

    def _probe(self) -> None:
        self.probes += 1

    def send(self, number: int, at: float, *, crypto: bool = False) -> None:
        fates = self.fates[number] = []
        packet = QuicSentPacket(
            epoch=Epoch.ONE_RTT,
            in_flight=True,
            is_ack_eliciting=True,
            is_crypto_packet=crypto,
            packet_number=number,
            packet_type=QuicPacketType.ONE_RTT,
            sent_time=at,
            sent_bytes=1200,
            delivery_handlers=[(fates.append, ())],
        )
        self.recovery.on_packet_sent(packet=packet, space=self.space)

    def ack(self, *ranges: range, at: float, delay: float = 0.0) -> None:
        self.recovery.on_ack_received(
            ack_rangeset=RangeSet(ranges), ack_delay=delay, now=at, space=self.space
        )

    @property
    def due(self) -> float | None:
        return self.recovery.get_loss_detection_time(amplification_limited=False)

    def timer(self) -> float:
        """The timer fires; when it did."""
        at = self.due
        assert at is not None
        self.recovery.on_loss_detection_timeout(now=at)
        return at


# Acknowledgements.


def test_each_packet_is_acknowledged_once_however_often_the_peer_says_so() -> None:
    sending = Sending()
    for number in range(10):
        sending.send(number, number / 100)
    sending.ack(range(0, 5), at=0.1)
    sending.ack(range(0, 5), range(6, 8), at=0.11)
    sending.ack(range(0, 10), at=0.12)
    assert all(fates == [ACKED] for fates in sending.fates.values())
    assert sending.controller.bytes_in_flight == 0
    assert sending.controller.acks == 3


def test_acknowledging_what_was_never_sent_does_nothing() -> None:
    sending = Sending()
    sending.send(0, 0.0)
    sending.ack(range(0, 2**62 - 1), at=0.1)
    assert sending.fates[0] == [ACKED]
    sending.send(1, 0.2)
    sending.ack(range(1, 2), at=0.3)
    assert sending.fates[1] == [ACKED], "numbers that were not sent yet are not settled"


def test_the_peers_delay_counts_up_to_what_it_announced() -> None:
    sending = Sending()
    sending.send(0, 0.0)
    sending.ack(range(0, 1), at=0.1)
    sending.send(1, 1.0)
    sending.ack(range(0, 2), at=1.15, delay=5.0)
    assert sending.recovery.rtt.latest == pytest.approx(0.125), "25 ms were announced"


# Losses.


def test_three_later_packets_make_a_loss() -> None:
    sending = Sending()
    for number in range(6):
        sending.send(number, 0.0)
    sending.ack(range(1, 3), at=0.1)
    assert sending.fates[0] == []
    sending.ack(range(1, 4), at=0.101)
    assert sending.fates[0] == [LOST]
    assert sending.fates[4] == []
    assert sending.controller.lost == [0]


def test_so_does_an_eighth_of_a_round_trip() -> None:
    sending = Sending()
    sending.send(0, 0.0)
    sending.send(1, 0.001)
    sending.ack(range(1, 2), at=0.101)
    assert sending.due == pytest.approx(0.1125)
    assert sending.timer() == pytest.approx(0.1125)
    assert sending.fates[0] == [LOST]
    assert sending.due is None


def test_a_loss_that_arrives_after_all_is_taken_back() -> None:
    sending = Sending()
    for number in range(40):
        sending.send(number, number / 1000)
    sending.ack(range(1, 31), at=0.13)
    assert sending.controller.lost == [0]
    sending.ack(range(0, 31), at=0.132)
    assert sending.fates[0] == [LOST, ACKED]
    assert sending.controller.undone == [0]
    assert sending.recovery.packets_late == 1
    # The next packet that is as late does not count as lost.
    sending.send(40, 0.2)
    for number in range(41, 71):
        sending.send(number, 0.2 + number / 10_000)
    sending.ack(range(41, 70), at=0.31)
    assert sending.fates[40] == []
    sending.ack(range(40, 70), at=0.312)
    assert sending.fates[40] == [ACKED]


def test_a_loss_is_remembered_for_a_few_probe_timeouts_only() -> None:
    sending = Sending()
    for number in range(5):
        sending.send(number, 0.0)
    sending.ack(range(1, 5), at=0.1)
    sending.send(5, 9.9)
    sending.ack(range(5, 6), at=10.0)
    sending.ack(range(0, 6), at=10.1)
    assert sending.fates[0] == [LOST]
    assert sending.controller.undone == []


def test_no_more_losses_are_remembered_than_a_satellites_window() -> None:
    sending = Sending(initial_rtt=0.6)
    last = REMEMBERED_PACKETS + 500
    for number in range(last + 1):
        sending.send(number, number / 1e6)
    sending.ack(range(last, last + 1), at=0.601)
    assert len(sending.controller.lost) == last - 2
    sending.send(last + 1, 0.61)
    sending.ack(range(last + 1, last + 2), at=1.2)
    assert len(sending.recovery._histories[sending.space].given_up) <= REMEMBERED_PACKETS


# Probes.


def test_a_probe_gives_nothing_up() -> None:
    """RFC 9002 section 6.2: a probe time-out is no sign of loss."""
    sending = Sending()
    for number in range(3):
        sending.send(number, 0.0)
    flying = sending.controller.bytes_in_flight
    sending.timer()
    assert sending.probes == 1
    assert [sending.fates[number] for number in range(3)] == [[LOST], [], []]
    assert sending.controller.bytes_in_flight == flying
    sending.send(3, 0.2)
    sending.timer()
    assert [sending.fates[number] for number in range(3)] == [[LOST], [LOST], []]
    sending.ack(range(0, 4), at=1.0)
    assert [sending.fates[number] for number in range(3)] == [[LOST, ACKED], [LOST, ACKED], [ACKED]]
    assert sending.controller.lost == sending.controller.undone == []


def test_what_a_probe_sent_again_is_not_queued_a_third_time_when_it_is_lost() -> None:
    sending = Sending()
    for number in range(2):
        sending.send(number, 0.0)
    sending.timer()
    for number in range(2, 6):
        sending.send(number, 0.2)
    sending.ack(range(2, 6), at=0.3)
    assert sending.fates[0] == [LOST], "its copy is in packet 2"
    assert sending.fates[1] == [LOST]
    assert sending.controller.lost == [0, 1]


def test_crypto_data_makes_room_for_itself() -> None:
    """Else a long chain of certificates fills the first window with its own copies."""
    sending = Sending()
    for number in range(3):
        sending.send(number, 0.0, crypto=True)
    sending.timer()
    assert sending.controller.bytes_in_flight == 0
    assert all(fates == [LOST] for fates in sending.fates.values())
    sending.ack(range(0, 3), at=0.6)
    assert sending.recovery.rtt.smoothed == pytest.approx(0.6), "the first copies arrived"
    assert sending.controller.undone == [], "nothing was done"


def silence(sending: Sending, seconds: float) -> list[float]:
    """When the probes of a silence go, each of them sent and not answered."""
    sending.send(1000, 0.0)
    sent: list[float] = []
    while not sent or sent[-1] < seconds:
        sent.append(sending.timer())
        sending.send(1000 + len(sent), sent[-1])
    return sent


def test_before_the_first_answer_probes_double() -> None:
    probes = silence(Sending(), 4.0)
    assert probes[:5] == pytest.approx([0.2, 0.6, 1.4, 3.0, 5.0])


def test_in_a_short_outage_they_lie_close() -> None:
    sending = Sending()
    sending.send(0, -0.1)
    sending.ack(range(0, 1), at=0.0)
    probes = silence(sending, 14.0)
    gaps = [later - earlier for earlier, later in pairwise(probes)]
    assert max(gaps) <= EARLY_PROBE_INTERVAL + 1e-9


def test_in_a_long_one_two_seconds_apart() -> None:
    """And two thousand doublings would not fit into a float."""
    sending = Sending()
    sending.send(0, -0.1)
    sending.ack(range(0, 1), at=0.0)
    probes = silence(sending, 3000.0)
    assert probes[-1] - probes[-2] == pytest.approx(MAX_PROBE_INTERVAL)


def test_a_link_slower_than_that_is_given_its_time() -> None:
    """Probing faster than answers can come would only fill a satellite's queue."""
    probes = silence(Sending(initial_rtt=1.5), 30.0)
    assert probes[-1] - probes[-2] == pytest.approx(3.0)


# Whole connections.


@pytest.mark.parametrize(("outage", "within"), [(10.0, EARLY_PROBE_INTERVAL), (120.0, 2.0)])
def test_an_outage_is_over_as_soon_as_a_probe_gets_through(outage: float, within: float) -> None:
    pair = Pair(delay=0.02)
    pair.network.up = False
    answered = pair.client.ping()
    pair.network.pass_time(outage)
    pair.network.up = True
    back = pair.network.clock.seconds()
    pair.network.run(answered)
    assert pair.network.clock.seconds() - back < within + 0.1


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_nothing_is_lost_or_doubled_on_a_link_that_does_everything_wrong(seed: int) -> None:
    pair = Pair(seed=seed, loss=0.12, delay=0.05, jitter=0.04, duplicate=0.05)
    up, down, ends = Recorder(), Recorder(), (Recorder(), Recorder())
    pair.channel(up, ends[0])
    pair.channel(ends[1], down)
    Source(pair.network, ends[0].transport, 150_000, piece=150_000)
    Source(pair.network, ends[1].transport, 150_000, piece=150_000)
    pair.network.until(lambda: up.lost is not None and down.lost is not None, timeout=600.0)
    assert bytes(up.data) == bytes(down.data) == pattern(150_000)
    assert pair.server_connection.driver.quic._loss.packets_late > 0
