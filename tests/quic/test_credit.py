"""Receive windows."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edgetainer.quic.credit import Window


def test_nothing_taken_gives_nothing() -> None:
    window = Window(1000, 8000)
    for now in range(100):
        assert window.consume(0, now=now, rtt=0.1) == 1000


def test_credit_follows_what_was_taken_in_halves_of_the_window() -> None:
    window = Window(1000, 8000)
    assert window.consume(499, now=0, rtt=0.1) == 1000
    assert window.consume(1, now=10, rtt=0.1) == 1500
    assert window.consume(500, now=20, rtt=0.1) == 2000


def test_it_grows_for_a_fast_reader_up_to_its_bound() -> None:
    window = Window(1000, 8000)
    for turn in range(50):
        window.consume(4000, now=turn * 0.1, rtt=0.1)
    assert window.size == 8000


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
