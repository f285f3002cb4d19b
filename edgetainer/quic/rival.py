"""Beside a flow that fills the queue: take a share of it, as that flow does.

A flow that keeps its queue low starves beside one that fills it: the more the
other queues, the less of what is in flight is ours. So while a queue stands
that yielding does not move, the window is what CUBIC's would be (RFC 9438),
which shares with CUBIC by construction. It begins at half of what the path
holds, as if there were one rival, because CUBIC takes a minute to get there.
When the rival goes, half of the path's bytes are too few to keep a queue; its
end is the sign to go back to the model.
"""

from __future__ import annotations

BETA = 0.7
"""What a loss leaves of the window (RFC 9438 section 4.6)."""

CUBIC_C = 0.4
"""Datagrams per second cubed (RFC 9438 section 5.1)."""

LASTS = 30.0
"""Seconds after which the length of the path is looked at anew: a longer route
looks like a rival too."""


class Rival:
    """CUBIC's window, in bytes, while there is a rival.

    :param now: when it was noticed.
    :param window: where to begin.
    """

    def __init__(self, now: float, window: float, *, datagram: int) -> None:
        self.since = now
        self.window = window
        self.calm_rounds = 0
        self._datagram = datagram
        self._most = window
        self._kept = window
        self._epoch = now
        self._friendly = window
        self._claims = True

    def claim(self, holds: float) -> None:
        """The path holds so many bytes: half of them are ours, until the first loss."""
        if self._claims and holds / 2 > self.window:
            self.window = self._most = self._kept = self._friendly = holds / 2

    def lost(self, now: float) -> None:
        """Packets of the round that ended were lost."""
        self._claims = False
        # Fast convergence (RFC 9438 section 4.7): leave room to newer flows.
        shrinking = self.window < self._most
        self._most = self.window * ((1 + BETA) / 2 if shrinking else 1.0)
        self.window = self._kept = self._friendly = self.window * BETA
        self._epoch = now

    def grow(self, now: float, rtt: float) -> None:
        """A round trip of `rtt` seconds passed without loss."""
        most, kept = self._most / self._datagram, self._kept / self._datagram
        elapsed = now - self._epoch
        origin = (max(0.0, most - kept) / CUBIC_C) ** (1 / 3)
        target = (CUBIC_C * (elapsed + rtt - origin) ** 3 + most) * self._datagram
        self._friendly += 3 * (1 - BETA) / (1 + BETA) * self._datagram
        self.window = max(min(target, 1.5 * self.window), self._friendly, self.window)
