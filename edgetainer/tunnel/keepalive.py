"""How long a device may be silent before a NAT on its way forgets it.

A NAT or firewall keeps the way back to a device open for as long as packets
pass: RFC 4787 (REQ-5) asks for two minutes and more, 30 seconds are common. On
a link that is paid by the byte it matters which. A device that only sends never
learns it, for its own packet opens the way anew. So it keeps quiet, and the
*server* says something after a time that the device asked for:

- what the server says *arrives*: the way was still open after that long;
- it does not, and a moment later the device's own packet *is answered*: the way
  was closed, and is open again. The connection lives on at its new address.

Between two bounds, the longest silence that was survived and the shortest that
was not, the wait is searched as roots are, by halving (in proportion). While
the upper bound is unknown, it grows by steps. (The idea of measuring from
outside is that of RFC 5780, section 4.6.) Pure: no clock, and no packet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

SAFE = 25.0
"""Seconds to begin with: under the 30 s of the hasty among NATs."""

LEAST = 10.0
"""Seconds under which no keepalive goes; it is the standard profile's."""

MOST = 300.0
"""Seconds that no keepalive exceeds. It is also about how long a device may be out
of reach when its network forgets sooner than it used to; longer ones save little:
12 datagrams an hour each way cost 0.5 MB a month."""

STEP = 1.5
"""Factor by which the wait grows while nothing was lost."""

PRECISION = 1.1
"""The search ends when the bounds are this close, as a ratio."""

MARGIN = 0.95
"""Share of the longest wait that was survived at which the search comes to rest."""

CONFIRM = 2
"""Waits of one length that must be survived, or lost, before it counts: one packet
more or less may be chance."""

RELEARN_S = 7 * 86_400.0
"""Seconds after which a longer wait is tried again: networks change rarely, and
each trial that fails leaves the device out of reach for some time."""


@dataclass(frozen=True)
class Bounds:
    """What is known of one network.

    :param good: the longest silence, in seconds, that was survived.
    :param bad: the shortest that was not; None while none is known.
    """

    good: float = SAFE
    bad: float | None = None

    @property
    def settled(self) -> bool:
        """Whether there is nothing left to find out."""
        if self.bad is None:
            return self.good >= MOST
        return self.bad <= self.good * PRECISION or self.bad <= LEAST

    @property
    def wait(self) -> float:
        """The seconds of silence to try next, or to stay at."""
        if self.bad is None:
            return min(self.good * STEP, MOST)
        if self.settled:
            return max(LEAST, self.good * MARGIN)
        return math.sqrt(self.good * self.bad)

    def survived(self, wait: float) -> Bounds:
        """This much silence was survived."""
        return replace(self, good=max(self.good, min(wait, MOST)))

    def lost(self, wait: float) -> Bounds:
        """This much was not; what was believed before is doubted where it contradicts."""
        if wait > self.good:
            return replace(self, bad=wait if self.bad is None else min(wait, self.bad))
        good = SAFE if wait > SAFE else LEAST
        return Bounds(good=min(good, wait), bad=wait)


class Keepalive:
    """The search on one network: what happened goes in, the seconds come out.

    :param bounds: what is remembered of this network.
    :param now: seconds, by any clock that goes on evenly.

    :ivar bounds: what is known now, to be remembered.
    """

    def __init__(self, bounds: Bounds | None = None, *, now: float = 0.0) -> None:
        self.bounds = bounds or Bounds()
        # A network that is not remembered is safe before it is anything else.
        self._proved = bounds is not None
        self._survived = 0
        self._lost = 0
        self._settled_at = now

    @property
    def seconds(self) -> float:
        """How long the server shall wait before it says something."""
        return self.bounds.wait if self._proved else self.bounds.good

    def move(self, bounds: Bounds | None, *, now: float) -> None:
        """The device is on another network; `bounds` are what is remembered of that."""
        self.bounds = bounds or Bounds()
        self._proved = bounds is not None
        self._begin_again(now)

    def survived(self, silence: float, *, now: float) -> None:
        """The server's word came after this many seconds in which nobody spoke."""
        if silence < self.seconds * MARGIN:
            return
        self._lost = 0
        self._survived += 1
        if not self._proved:
            self._proved = True
            self._begin_again(now)
        elif self.bounds.settled:
            if now - self._settled_at >= RELEARN_S:
                self.bounds = Bounds(good=self.bounds.good)
                self._begin_again(now)
        elif self._survived >= CONFIRM:
            self.bounds = self.bounds.survived(self.bounds.wait)
            self._begin_again(now)

    def lost(self, *, now: float) -> None:
        """The server's word did not come, and yet it answered ours at once."""
        self._survived = 0
        self._lost += 1
        if self._lost >= CONFIRM:
            self.bounds = self.bounds.lost(self.seconds)
            self._proved = True
            self._begin_again(now)

    def _begin_again(self, now: float) -> None:
        self._survived = self._lost = 0
        self._settled_at = now
