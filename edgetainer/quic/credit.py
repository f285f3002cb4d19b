"""How much a peer may send: credit is given when a reader takes bytes.

aioquic doubles its receive windows when bytes *arrive*, so a peer can make it
buffer without end. Here a limit is always "what was taken, plus a window" (RFC 9000
section 4), and the window follows the reader: twice what it takes in a round trip,
and nothing more for one that stands still.
"""

from __future__ import annotations

from edgetainer.quic.budget import Share

STREAM_WINDOW = 1024 * 1024
"""First window of a stream, bytes. A sender that knows its path of 50 Mbit/s over
a satellite begins with half of what fits on it, 1.9 MB; each halving of this
window costs it another round trip of 600 ms."""

CONNECTION_WINDOW = 1024 * 1024
"""First window of a connection, bytes: what any peer may make us keep."""

WINDOW_MAX = 16 * 1024 * 1024
"""Largest window of a stream and of a connection, bytes: four times what fits on
50 Mbit/s over 600 ms, since all that follows a lost packet waits a round trip for
it, and longer where its repetition is lost too."""

HELD_MAX = 32 * 1024 * 1024
"""Bytes of paused readers that do not count against the connection's window while
the budget lasts, so that up to 32 stalled streams leave their siblings untouched."""

SHORTEST = 0.25
"""Part of a round trip over which consumption is measured at least: what is taken
at once, after a pause or a hole, is no rate."""


class Window:
    """The receive window of one stream or of a connection.

    :param size: the first window in bytes.
    :param maximum: the size it never exceeds, in bytes.
    :param share: where growth is paid from; None where another window bounds it.
    """

    __slots__ = ("_mark", "_share", "_since", "consumed", "limit", "maximum", "size")

    def __init__(self, size: int, maximum: int, share: Share | None = None) -> None:
        self.size = size
        self.maximum = maximum
        self.consumed = 0
        self.limit = size
        self._share = share
        self._since: float | None = None
        self._mark = 0

    def consume(self, count: int, *, held: int = 0, now: float, rtt: float) -> int:
        """Note that the reader took `count` bytes; return the peer's limit.

        :param held: bytes that wait for paused readers and are counted elsewhere.
        :param now: seconds on the caller's clock.
        :param rtt: smoothed round-trip time in seconds.
        """
        self.consumed += count
        taken = self.consumed + held
        if self._since is None:
            self._since = now
        # A quarter at a time: few frames, and three quarters are always on their way.
        if 4 * (taken + self.size - self.limit) < self.size:
            return self.limit
        if count:
            self._follow(now, rtt)
        # Never withdraw credit: a limit only rises (RFC 9000 section 4.1).
        self.limit = max(self.limit, taken + self.size)
        return self.limit

    def _follow(self, now: float, rtt: float) -> None:
        """Grow to what the reader takes in two round trips, at most twofold."""
        assert self._since is not None
        elapsed = max(now - self._since, SHORTEST * rtt)
        wanted = 2 * rtt * (self.consumed - self._mark) / elapsed if elapsed else self.size
        size = min(int(wanted), 2 * self.size, self.maximum)
        if size > self.size and (self._share is None or self._share.take(size - self.size)):
            self.size = size
        self._since, self._mark = now, self.consumed
