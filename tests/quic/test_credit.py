"""Receive windows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetainer.quic.budget import Budget
from edgetainer.quic.credit import STREAM_WINDOW, WINDOW_MAX, Window


def test_nothing_taken_gives_nothing() -> None:
    window = Window(1000, 8000)
    for now in range(100):
        assert window.consume(0, now=now, rtt=0.1) == 1000


def test_credit_follows_what_was_taken_in_quarters_of_the_window() -> None:
    window = Window(1000, 8000)
    assert window.consume(249, now=0, rtt=0.1) == 1000
    assert window.consume(1, now=10, rtt=0.1) == 1250
    assert window.consume(250, now=20, rtt=0.1) == 1500


@pytest.mark.parametrize(("a_round_trip", "size"), [(100, 1000), (900, 1800), (3000, 6000)])
def test_it_is_twice_what_is_taken_in_a_round_trip(a_round_trip: int, size: int) -> None:
    window = Window(1000, 8000)
    for turn in range(10_000):
        window.consume(a_round_trip // 50, now=turn * 0.1 / 50, rtt=0.1)
    assert window.size == pytest.approx(size, rel=0.1)


def test_it_has_a_bound() -> None:
    window = Window(1000, 8000)
    for turn in range(200):
        window.consume(1_000_000, now=turn * 0.1, rtt=0.1)
    assert window.size == 8000


def test_what_is_taken_at_once_after_a_pause_is_no_rate() -> None:
    window = Window(1000, 8000)
    for turn in range(100):
        # All that may be there, once in a second, ten round trips.
        window.consume(window.limit - window.consumed, now=turn, rtt=0.1)
    assert window.size <= 2000, "the first, which may have come in a round trip, and no other"


def test_a_satellite_is_never_held_back_while_its_rate_doubles_each_round_trip() -> None:
    """A sender that begins with ten packets, and what it would like to have in flight."""
    rtt, window, flight = 0.6, Window(STREAM_WINDOW, WINDOW_MAX), 12_000.0
    now, sent = 0.0, 0.0
    while flight < 50e6 / 8 * rtt:
        # The bytes arrive evenly over the round trip; credit takes half of one to return.
        for _ in range(50):
            assert window.limit - sent >= 0, f"held back with {flight:.0f} bytes in flight"
            sent += flight / 50
            now += rtt / 50
            window.consume(int(flight / 50), now=now, rtt=rtt)
        flight *= 2
    assert window.size >= 50e6 / 8 * rtt


def test_growth_is_paid_from_the_budget() -> None:
    budget = Budget(1500)
    window = Window(1000, 8000, budget.share())
    for turn in range(50):
        window.consume(4000, now=turn * 0.1, rtt=0.1)
    assert window.size == 2000
    assert budget.used == 1000
    assert window.limit > 150_000, "credit is given all the same"


def test_bytes_that_are_held_open_the_window_without_making_it_grow() -> None:
    window = Window(1000, 8000)
    assert window.consume(0, held=800, now=0, rtt=0.1) == 1800
    assert window.consume(0, held=1600, now=0, rtt=0.1) == 2600
    assert window.size == 1000


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), max_size=50))
def test_a_limit_never_falls_nor_runs_away(steps: list[tuple[int, int]]) -> None:
    window = Window(1000, 8000)
    limit = 1000
    for now, (count, held) in enumerate(steps):
        new = window.consume(count, held=held, now=now / 10, rtt=0.1)
        assert new >= limit
        assert new - window.consumed <= 8000 + 5000 or new == limit
        limit = new
