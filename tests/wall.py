"""The date as a test's clock tells it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from twisted.internet.task import Clock


def wall(clock: Clock) -> Callable[[], datetime]:
    """A wall clock that goes with this clock, whose seconds are those since 1970."""
    return lambda: datetime.fromtimestamp(clock.seconds(), UTC)
