"""When the next packet may go."""

from __future__ import annotations

import pytest

from edgetainer.quic.pacer import Pacer


class Rate:
    """Says how fast; bytes per second."""

    def __init__(self, pacing_rate: float) -> None:
        self.pacing_rate = pacing_rate


def sent(pacer: Pacer, until: float, *, late: float = 0.0, size: int = 1200) -> list[float]:
    """When packets go if the timer always fires late."""
    now, times = 0.0, []
    while now < until:
        due = pacer.next_send_time(now)
        if due is None:
            pacer.update_after_send(now)
            pacer.sent(size)
            times.append(now)
        else:
            now = due + late
    return times


def test_without_a_rate_nothing_is_held_back() -> None:
    pacer = Pacer(Rate(0.0), max_datagram_size=1200)
    for _ in range(100):
        assert pacer.next_send_time(0.0) is None
        pacer.update_after_send(0.0)


@pytest.mark.parametrize(
    ("megabit", "late"),
    # A gigabit link gets no more than half a megabyte at once.
    [(0.1, 0.0), (20, 0.0), (1000, 0.0), (0.1, 0.015), (20, 0.015), (1000, 0.002)],
)
def test_the_rate_is_kept_though_timers_are_late(megabit: float, late: float) -> None:
    rate = megabit * 125_000
    times = sent(Pacer(Rate(rate), max_datagram_size=1200), 1.0, late=late)
    assert len(times) * 1200 == pytest.approx(rate, rel=0.05, abs=3600)


def test_slow_links_get_one_packet_at_a_time_and_fast_ones_a_batch() -> None:
    slow = sent(Pacer(Rate(125_000), max_datagram_size=1200), 0.2)[2:]
    assert len(set(slow)) == len(slow)
    fast = sent(Pacer(Rate(125_000_000), max_datagram_size=1200), 0.2)
    assert len(fast) / len(set(fast)) > 50


def test_a_batch_is_waited_for_whatever_wakes_the_sender() -> None:
    pacer = Pacer(Rate(12_500_000), max_datagram_size=1200)
    times = []
    for step in range(1000):
        now = step / 10_000  # an acknowledgement each tenth of a millisecond
        while pacer.next_send_time(now) is None:
            pacer.update_after_send(now)
            pacer.sent(1200)
            times.append(now)
    assert len(times) * 1200 == pytest.approx(1_250_000, rel=0.05)
    # In two milliseconds the rate brings 20 packets.
    assert len(times) / len(set(times)) > 15


def test_small_packets_cost_what_they_have() -> None:
    times = sent(Pacer(Rate(125_000), max_datagram_size=1200), 1.0, size=100)
    assert len(times) * 100 == pytest.approx(125_000, rel=0.05)


def test_packets_it_was_not_asked_about_are_not_counted() -> None:
    pacer = Pacer(Rate(1000.0), max_datagram_size=1200)
    pacer.sent(1200)
    assert len(sent(pacer, 0.001)) == 2


def test_time_that_was_not_used_is_not_saved_up() -> None:
    pacer = Pacer(Rate(2_500_000), max_datagram_size=1200)
    pacer.next_send_time(100.0)
    together = 0
    while pacer.next_send_time(100.0) is None:
        pacer.update_after_send(100.0)
        pacer.sent(1200)
        together += 1
    assert together <= 9
