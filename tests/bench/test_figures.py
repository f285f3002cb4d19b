"""Figures from observations."""

from __future__ import annotations

import pytest

from bench import figures

SAMPLES = [(10.0, 0), (11.0, 1_000_000), (12.0, 4_000_000), (14.0, 9_000_000)]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 5), (0.95, 10), (0.99, 10), (1.0, 10), (0.1, 1)]
)
def test_percentiles_are_values_that_occurred(share: float, expected: float) -> None:
    assert figures.percentile([3, 1, 2, 10, 9, 8, 7, 6, 5, 4], share) == expected


def test_of_nothing_there_is_no_percentile() -> None:
    assert figures.percentile([], 0.5) is None


def test_a_median_leaves_out_what_is_not_there() -> None:
    assert figures.median([None, 3.0, 1.0, 2.0]) == 2.0
    assert figures.median([None]) is None


def test_goodput_counts_what_had_come_by_then() -> None:
    assert figures.goodput_mbit(SAMPLES, 10.0, 2.0) == 16.0
    assert figures.goodput_mbit(SAMPLES, 10.0, 3.0) == pytest.approx(4_000_000 * 8 / 1e6 / 3)
    assert figures.bytes_until(SAMPLES, 9.0) == 0


def test_the_time_to_a_size_is_none_where_it_was_not_reached() -> None:
    assert figures.time_to(SAMPLES, 10.0, 1_000_000) == 1.0
    assert figures.time_to(SAMPLES, 10.0, 8_000_000) == 4.0
    assert figures.time_to(SAMPLES, 10.0, 9_000_001) is None


def test_an_echo_that_never_came_counts_as_long_as_it_was_waited_for() -> None:
    times = [[1.0, 1.5], [2.0, None], [3.0, 3.1], [None, None]]

    trips = figures.round_trips_ms(times, 1.0, 3.0, 12.0)

    assert trips == [500.0, 10_000.0]
    assert figures.missing(times, 1.0, 3.0) == 1
    assert figures.missing(times, 2.5, 4.0) == 0
