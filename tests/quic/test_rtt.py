"""The estimates of RFC 9002 section 5, by its own arithmetic."""

from __future__ import annotations

import pytest

from edgetainer.quic.rtt import RttEstimator


def test_before_the_first_sample_the_guess_decides() -> None:
    rtt = RttEstimator(0.3)
    assert (rtt.expected, rtt.timeout) == (0.3, 0.6)


def test_the_first_sample_sets_everything() -> None:
    rtt = RttEstimator(0.3)
    rtt.sample(0.1, ack_delay=0.02, now=1.0)
    assert (rtt.min, rtt.smoothed, rtt.variation) == (0.1, 0.1, 0.05)
    assert rtt.first_sample_at == 1.0
    assert rtt.timeout == pytest.approx(0.1 + 4 * 0.05)


def test_later_ones_move_the_mean_by_an_eighth_and_the_variation_by_a_quarter() -> None:
    rtt = RttEstimator(0.3)
    rtt.sample(0.1, ack_delay=0.0, now=1.0)
    rtt.sample(0.18, ack_delay=0.0, now=1.1)
    assert rtt.variation == pytest.approx(0.75 * 0.05 + 0.25 * 0.08)
    assert rtt.smoothed == pytest.approx(0.11)
    assert rtt.expected == 0.18


def test_the_peers_delay_is_taken_off_unless_it_explains_too_much() -> None:
    rtt = RttEstimator(0.3)
    rtt.sample(0.1, ack_delay=0.0, now=1.0)
    rtt.sample(0.13, ack_delay=0.02, now=1.1)
    assert rtt.latest == pytest.approx(0.11)
    rtt.sample(0.11, ack_delay=0.02, now=1.2)
    assert rtt.latest == pytest.approx(0.11), "0.09 would be below the minimum"


def test_a_steady_queue_is_not_a_variation() -> None:
    """aioquic's measures around the minimum, and would wait four queues too long."""
    rtt = RttEstimator(0.3)
    rtt.sample(0.08, ack_delay=0.0, now=0.0)
    for turn in range(100):
        rtt.sample(0.18, ack_delay=0.0, now=0.1 * turn)
    assert rtt.timeout == pytest.approx(0.181, abs=0.002)


def test_a_lan_is_faster_than_a_millisecond() -> None:
    rtt = RttEstimator(0.3)
    for turn in range(50):
        rtt.sample(0.0002, ack_delay=0.0, now=0.001 * turn)
    assert rtt.smoothed == pytest.approx(0.0002)
    assert rtt.timeout == pytest.approx(0.0012, abs=0.0001), "timers are no finer"


def test_a_new_path_has_a_new_minimum() -> None:
    rtt = RttEstimator(0.3)
    rtt.sample(0.02, ack_delay=0.0, now=0.0)
    rtt.forget_min()
    rtt.sample(0.6, ack_delay=0.0, now=1.0)
    assert rtt.min == 0.6
