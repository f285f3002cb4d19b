"""One timer that moves with nearly every packet."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

FLOOR_S = 0.000_1
"""Shortest timer, in seconds: a tenth of the granularity of RFC 9002 section 6.1.2."""


class Timer:
    """Calls at a time that may be changed at little cost.

    :param fired: called with the time, in seconds on the reactor's clock and not
        before the one that was set.
    """

    def __init__(self, reactor: IReactorTime, fired: Callable[[float], None]) -> None:
        self._reactor = reactor
        self._fired = fired
        self._call: IDelayedCall | None = None
        self._at: float | None = None

    def set(self, at: float | None) -> None:
        """Fire at this time and no other; None: not at all."""
        self._at = at
        if self._call is not None:
            if at is not None and self._call.getTime() <= at:
                # Put off: that is cheaper noticed when it fires, now and then, than by
                # a new call for each packet.
                return
            self._call.cancel()
            self._call = None
        if at is not None:
            # A time that is past is one that handling did not clear, by a rounding
            # error for instance; without the floor it would fire for ever.
            delay = max(FLOOR_S, at - self._reactor.seconds())
            self._call = self._reactor.callLater(delay, self._wake)

    def _wake(self) -> None:
        self._call = None
        at, now = self._at, self._reactor.seconds()
        if at is None or at > now + FLOOR_S:
            self.set(at)
            return
        self._at = None
        self._fired(max(at, now))
