"""Interactive bytes go twice on a long path, once on a short one, and bulk never."""

from __future__ import annotations

import pytest
from aioquic.quic.packet_builder import QuicDeliveryState

from edgetainer.quic.copies import (
    BURST,
    LONGEST_S,
    OVERHEAD,
    PROBE_BYTES,
    SHARE,
    SHORTEST_S,
    Copies,
    Piece,
    copy_delay,
)
from edgetainer.quic.rtt import RttEstimator
from edgetainer.quic.schedule import Priority
from edgetainer.quic.sender import StreamSender
from tests.quic.pair import Echo, Pair, Recorder


def measured(rtt: float) -> RttEstimator:
    estimator = RttEstimator(0.1)
    for turn in range(30):
        estimator.sample(rtt, ack_delay=0.0, now=rtt * turn)
    return estimator


class Terminal:
    """A stream's sender, its copies, and what left."""

    def __init__(self) -> None:
        self.sender = StreamSender(0, True)
        self.copies = Copies()
        self.left: list[tuple[int, int]] = []

    def write(self, size: int, at: float) -> None:
        self.sender.write(bytes(size))
        while len(self.sender._pending):
            start, stop = self._send()
            self.copies.sent(Piece(at, self.sender, start, stop, False))

    def copy(self, at: float, *, rate: float = 1e6, riding: bool = False) -> list[tuple[int, int]]:
        self.copies.copy(at, delay=0.02, rate=rate, riding=riding)
        return self._flush()

    def probe(self) -> list[tuple[int, int]]:
        self.copies.probe()
        return self._flush()

    def _flush(self) -> list[tuple[int, int]]:
        sent = []
        while len(self.sender._pending):
            sent.append(self._send())
        return sent

    def _send(self) -> tuple[int, int]:
        frame = self.sender.get_frame(1000)
        assert frame is not None
        return frame.offset, frame.offset + len(frame.data)

    def acked(self, start: int, stop: int) -> None:
        self.sender.on_data_delivery(QuicDeliveryState.ACKED, start, stop, False)


@pytest.mark.parametrize("rtt", [0.0005, 0.01, 0.02])
def test_on_a_short_path_the_answer_is_waited_for(rtt: float) -> None:
    assert max(SHORTEST_S, rtt + 0.005) <= copy_delay(measured(rtt)) <= LONGEST_S


@pytest.mark.parametrize(
    ("rtt", "delay"), [(0.08, SHORTEST_S), (0.24, 0.02), (0.6, LONGEST_S), (2.0, LONGEST_S)]
)
def test_on_a_long_one_it_is_not(rtt: float, delay: float) -> None:
    assert copy_delay(measured(rtt)) == pytest.approx(delay)


def test_a_piece_is_copied_once_when_it_is_due() -> None:
    terminal = Terminal()
    terminal.write(3, 1.0)
    assert terminal.copies.due(0.02) == pytest.approx(1.02)
    assert terminal.copy(1.01) == []
    assert terminal.copy(1.03) == [(0, 3)]
    assert terminal.copies.due(0.02) is None
    assert terminal.copy(5.0) == []


def test_a_second_copy_rides_with_the_next_bytes() -> None:
    terminal = Terminal()
    terminal.write(3, 1.0)
    assert terminal.copy(1.01, riding=True) == [], "neighbours share a fate"
    assert terminal.copy(1.02) == [(0, 3)]
    assert terminal.copy(1.03, riding=True) == []
    assert terminal.copy(1.1, riding=True) == [(0, 3)]
    assert terminal.copy(1.2, riding=True) == [], "two are enough"


def test_what_was_acknowledged_is_not_copied() -> None:
    terminal = Terminal()
    terminal.write(3, 1.0)
    terminal.write(3, 1.01)
    terminal.acked(0, 3)
    assert terminal.copies.due(0.02) == pytest.approx(1.03)
    assert terminal.copy(2.0) == [(3, 6)]


def test_nothing_of_a_stream_that_was_reset_is_copied() -> None:
    terminal = Terminal()
    terminal.write(3, 1.0)
    terminal.sender.reset(1)
    assert terminal.copies.due(0.02) is None


def test_a_flood_on_a_terminal_is_copied_within_a_share_of_the_rate() -> None:
    terminal = Terminal()
    copied = 0
    for turn in range(1000):
        at = 1.0 + turn / 100
        terminal.write(10_000, at)
        copied += sum(stop - start + OVERHEAD for start, stop in terminal.copy(at, rate=1e6))
    assert 0.5e6 * 0.9 < copied <= 10 * 1e6 * SHARE + BURST


def test_a_probe_carries_the_newest_bytes() -> None:
    terminal = Terminal()
    for turn in range(20):
        terminal.write(100, 1.0 + turn / 10)
        terminal.copy(1.05 + turn / 10)
    terminal.acked(1900, 1950)
    assert terminal.probe() == [(1000, 1900), (1950, 2000)]
    assert PROBE_BYTES == 1000


def test_probes_forget_what_arrived() -> None:
    terminal = Terminal()
    terminal.write(100, 1.0)
    terminal.acked(0, 100)
    assert terminal.probe() == []
    assert len(terminal.copies._copied) == 0


def channel(priority: Priority, **network: float) -> tuple[Pair, Recorder, Echo]:
    pair = Pair(**network)
    asking, answering = Recorder(), Echo()
    pair.channel(asking, answering)
    for end in (asking, answering):
        end.transport.set_priority(priority)
    pair.network.pass_time(3.0)
    return pair, asking, answering


@pytest.mark.parametrize(
    ("priority", "rtt", "copies"),
    [(Priority.INTERACTIVE, 0.3, 1), (Priority.INTERACTIVE, 0.004, 0), (Priority.BULK, 0.3, 0)],
)
def test_who_is_copied(priority: Priority, rtt: float, copies: int) -> None:
    pair, asking, _ = channel(priority, delay=rtt / 2)
    quic = pair.client.driver.quic
    carried = quic.statistics().datagrams_received
    asking.transport.write(b"x")
    pair.network.pass_time(rtt / 2 + 0.06)
    # An acknowledgement of the echo comes too where the round trip is short.
    assert quic.statistics().datagrams_received - carried == 1 + copies + (rtt < 0.05)
    pair.network.pass_time(2.0)
    assert bytes(asking.data) == b"x"


def test_a_lost_keystroke_costs_no_round_trip() -> None:
    pair, asking, _ = channel(Priority.INTERACTIVE, delay=0.15)
    sent: list[int] = []

    def first_is_lost(*_: object) -> bool:
        sent.append(1)
        return len(sent) != 1

    pair.network.filter = first_is_lost
    began = pair.network.clock.seconds()
    asking.transport.write(b"x")
    pair.network.until(lambda: bool(asking.data))
    assert pair.network.clock.seconds() - began < 0.3 + LONGEST_S + 0.005
