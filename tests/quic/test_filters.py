"""Windowed filters."""

from __future__ import annotations

import math

from edgetainer.quic.filters import MinRtt, WindowedMax


def test_the_largest_counts_for_as_many_steps_as_the_window_has() -> None:
    filtered = WindowedMax(3)
    assert filtered.value == 0.0
    seen = []
    for step, value in enumerate([5.0, 9.0, 4.0, 3.0, 2.0, 1.0]):
        filtered.update(step, value)
        seen.append(filtered.value)
    assert seen == [5.0, 9.0, 9.0, 9.0, 4.0, 3.0]


def test_older_values_can_be_forgotten_but_never_all() -> None:
    filtered = WindowedMax(10)
    filtered.update(1, 9.0)
    filtered.update(2, 5.0)
    filtered.forget_before(2)
    assert filtered.value == 5.0
    filtered.forget_before(9)
    assert filtered.value == 5.0


def test_a_queue_is_what_every_packet_of_a_round_waited() -> None:
    rtt = MinRtt(10.0)
    assert rtt.value == math.inf
    assert rtt.queue == 0.0
    rtt.update(0.080, 0.0)
    rtt.round_ended()
    for sample in (0.100, 0.095, 0.120):
        rtt.update(sample, 0.1)
    rtt.round_ended()
    assert math.isclose(rtt.queue, 0.015)
    rtt.round_ended()
    assert math.isclose(rtt.queue, 0.015), "a round without a sample says nothing"


def test_a_minimum_lasts_as_long_as_samples_close_to_it_confirm_it() -> None:
    rtt = MinRtt(10.0)
    rtt.update(0.080, 0.0)
    rtt.update(0.082, 8.0)
    assert not rtt.expired(17.0)
    rtt.update(0.090, 17.0)
    assert rtt.expired(19.0)
    rtt.replace(0.090, 19.0)
    assert rtt.value == 0.090
    assert not rtt.expired(20.0)
