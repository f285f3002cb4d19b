"""How much a peer may send: credit is given when a reader takes bytes.

aioquic doubles its receive windows when bytes *arrive*, so a peer can make it
buffer without end. Here a limit is always "what was taken, plus a window", and
the window grows only while the reader takes half of it within two round trips:
a window of consumption times RTT, and nothing for a reader that stands still
(RFC 9000 section 4).
"""

from __future__ import annotations

STREAM_WINDOW = 256 * 1024
"""First window of a stream, bytes: 20 Mbit/s over 100 ms, and what a reader
that never reads can cost on the receiving side."""

STREAM_WINDOW_MAX = 4 * 1024 * 1024
"""Largest window of a stream, bytes: 50 Mbit/s over a satellite's 600 ms."""

CONNECTION_WINDOW = 1024 * 1024
"""First window of a connection, bytes: four full streams."""

CONNECTION_WINDOW_MAX = 8 * 1024 * 1024
"""Largest window of a connection, bytes: two full streams at their largest."""

HELD_MAX = 8 * 1024 * 1024
"""Bytes of paused readers that do not count against the connection's window,
so that up to 32 stalled streams leave their siblings untouched."""


class Window:
    """The receive window of one stream or of a connection.

    :param size: the first window in bytes.
    :param maximum: the size it never exceeds, in bytes.
    """

    __slots__ = ("_epoch", "consumed", "limit", "maximum", "size")

    def __init__(self, size: int, maximum: int) -> None:
        self.size = size
        self.maximum = maximum
        self.consumed = 0
        self.limit = size
        self._epoch: float | None = None

    def consume(self, count: int, *, held: int = 0, now: float, rtt: float) -> int:
        """Note that the reader took `count` bytes; return the peer's limit.

        :param held: bytes that wait for paused readers and are counted elsewhere.
        :param now: seconds on the caller's clock.
        :param rtt: smoothed round-trip time in seconds.
        """
        self.consumed += count
        taken = self.consumed + held
        if taken + self.size // 2 < self.limit:
            return self.limit
        if count and self._epoch is not None and now - self._epoch < 2 * rtt:
            self.size = min(2 * self.size, self.maximum)
        self._epoch = now
        # Never withdraw credit: a limit only rises (RFC 9000 section 4.1).
        self.limit = max(self.limit, taken + self.size)
        return self.limit
