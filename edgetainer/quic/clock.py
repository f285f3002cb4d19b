"""A reactor whose timers no correction of the wall clock can reach.

Twisted's reactors count seconds by the wall clock. When a device without a
battery-backed clock learns the time, or somebody sets it, every timer of such a
program stands still for as long as the clock was put back; put forward by more
than the idle time-out, it drops every connection. Loss recovery, keepalives and
deadlines need a clock that only goes forward, at one pace.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall


class Clocked(Protocol):
    """What is asked of the reactor."""

    def seconds(self) -> float:
        """The time by which calls are scheduled."""

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """The calls that are scheduled."""


def make_monotonic(reactor: Clocked) -> None:
    """Let this reactor count `time.monotonic` seconds from now on.

    Called by whoever composes the program, before anything is scheduled: calls
    know their time by the clock that they were made with. What wants to know the
    date asks a clock of its own, not the reactor.

    :raises RuntimeError: calls are scheduled already.
    """
    if reactor.getDelayedCalls():
        raise RuntimeError("calls are scheduled by the wall clock already")
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
