"""Whether the reactor is late: then a server takes on nobody new.

A handshake costs a hundred times what a packet of an open connection does. Begun
without regard to what is under way, they would fill the socket's queue until packets
of open connections lie in it for seconds, and these are given up and come back too.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

LOOK_EVERY_S = 0.05
"""Seconds between looks while there is something to look for."""

LATE_S = 0.1
"""Seconds that a timer may be late: a round trip's worth. A healthy turn of the
reactor takes a few milliseconds."""


class Lateness:
    """Measures how late timers are, from `watch` on, as long as it matters.

    :param matters: asked at each look whether to go on looking.
    :ivar late: whether the last look came too late.
    """

    def __init__(self, reactor: IReactorTime, matters: Callable[[], bool]) -> None:
        self._reactor = reactor
        self._matters = matters
        self._timer: IDelayedCall | None = None
        self._due = 0.0
        self.late = False

    def watch(self) -> None:
        """Begin to look, or go on."""
        if self._timer is None:
            self._due = self._reactor.seconds() + LOOK_EVERY_S
            self._timer = self._reactor.callLater(LOOK_EVERY_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        self.late = self._reactor.seconds() - self._due > LATE_S
        if self.late or self._matters():
            self.watch()
