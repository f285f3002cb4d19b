from __future__ import annotations

import random

import pytest

from edgetainer.tunnel.backoff import LEAST, MOST, Backoff


class Highest:
    """Chance that always falls on the bound."""

    def uniform(self, a: float, b: float, /) -> float:
        assert a == 0.0
        return b


def test_the_bound_doubles_from_one_second_to_45() -> None:
    backoff = Backoff(Highest())
    assert [backoff.next() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 45, 45, 45]
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
    assert 44 < max(waits) <= 45
    assert sum(waits) / len(waits) == pytest.approx(22.5, abs=1.5)


def test_a_link_that_is_paid_by_the_byte_waits_longer() -> None:
    backoff = Backoff(Highest(), most=300.0)
    assert [backoff.next() for _ in range(10)][-3:] == [128, 256, 300]
