"""The thresholds grow with what came late, and shrink with what never came."""

from __future__ import annotations

import pytest

from edgetainer.quic.reordering import LOSSES_TO_SHRINK, PACKETS, PACKETS_MAX, Reordering


def test_at_first_they_are_those_of_the_rfc() -> None:
    reordering = Reordering()
    assert reordering.packets == 3
    assert reordering.delay(0.08) == pytest.approx(0.09)


def test_they_cover_what_came_late() -> None:
    reordering = Reordering()
    reordering.late(distance=20, lateness=0.03, rtt=0.08)
    assert reordering.packets == 21
    assert reordering.delay(0.08) > 0.08 + 0.03


def test_they_are_bounded() -> None:
    reordering = Reordering()
    reordering.late(distance=5000, lateness=9.0, rtt=0.08)
    assert reordering.packets == PACKETS_MAX
    assert reordering.delay(0.08) == pytest.approx(0.16)


def test_they_shrink_while_losses_are_real() -> None:
    reordering = Reordering()
    reordering.late(distance=31, lateness=0.04, rtt=0.08)
    for _ in range(LOSSES_TO_SHRINK):
        reordering.stood()
    assert reordering.packets == 16
    assert reordering.delay(0.08) == pytest.approx(0.08 + 0.0225)
    for _ in range(5 * LOSSES_TO_SHRINK):
        reordering.stood()
    assert reordering.packets == PACKETS
    assert reordering.delay(0.08) == pytest.approx(0.09)


def test_a_late_one_now_and_then_keeps_them() -> None:
    reordering = Reordering()
    for _ in range(20):
        reordering.late(distance=31, lateness=0.04, rtt=0.08)
        for _ in range(LOSSES_TO_SHRINK - 1):
            reordering.stood()
    assert reordering.packets == 32
