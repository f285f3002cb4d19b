from __future__ import annotations

import random

import pytest

from edgetainer.tunnel.backoff import LEAST, MOST, Backoff


class Highest:
    """Chance that always falls on the bound."""

    def uniform(self, a: float, b: float, /) -> float:
        assert a == 0.0
        return b


def test_the_bound_doubles_from_one_second_to_a_minute() -> None:
    backoff = Backoff(Highest())
    assert [backoff.next() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    backoff.reset()
    assert backoff.next() == LEAST
    backoff.reset(3)
    assert backoff.next() == 8
    backoff.reset(1_000_000)
    assert backoff.next() == MOST


@pytest.mark.parametrize("seed", range(3))
def test_waits_fill_the_whole_span_evenly(seed: int) -> None:
    backoff = Backoff(random.Random(seed))
    backoff.reset(6)
    waits = [backoff.next() for _ in range(2_000)]
    assert 0 <= min(waits) < 1
    assert 59 < max(waits) <= 60
    assert sum(waits) / len(waits) == pytest.approx(30, abs=2)
