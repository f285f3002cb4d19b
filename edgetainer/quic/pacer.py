"""When the next packet may go: a token bucket, in bytes.

Timers are late by a millisecond and more, and packets that are sent together
are cheap. So tokens gather while the timer sleeps, and it is set to when a
small batch may go: what the rate brings in one millisecond, and never so much
that it were a queue of its own. Slow links are paced packet by packet.
"""

from __future__ import annotations

from typing import Protocol

BATCH_S = 0.002
"""Seconds of the rate that are sent together: the granularity of timers."""

BATCH_MAX = 65_536
"""Bytes sent together at most: one segmented send to the kernel."""

LATE_S = 0.02
"""Seconds that a sender who waits may be late without costing rate: what a busy
machine makes of a timer. The link stood still meanwhile, so that what goes out at
once after it is no more of a queue than it was late. Without this the controller
measures what was sent too slowly, and believes it."""

IDLE_S = 0.004
"""Seconds of the rate that gather while nobody waits."""

BURST_MIN = 2
"""Datagrams that may always go together."""


class Paced(Protocol):
    """Who says how fast; bytes per second."""

    @property
    def pacing_rate(self) -> float:
        """0 until it is known, when nothing is held back."""


class Pacer:
    """In the place of aioquic's `QuicPacketPacer`.

    aioquic tells it of a packet before its size is known; so each is taken for a
    whole datagram, until `sent` says what it was.
    """

    def __init__(self, controller: Paced, *, max_datagram_size: int) -> None:
        self.max_datagram_size = max_datagram_size
        self._controller = controller
        self._tokens = float(BURST_MIN * max_datagram_size)
        self._at = 0.0
        self._guessed = 0
        self._gathering = False

    def next_send_time(self, now: float) -> float | None:
        """When the next packet may go, on the caller's clock; None means now."""
        rate = self._controller.pacing_rate
        if rate <= 0:
            self._tokens, self._at = float(BURST_MIN * self.max_datagram_size), now
            return None
        self._refill(now, rate)
        batch = self._batch(rate)
        # A byte's tolerance: what a rounding error keeps back would be asked for again
        # at once.
        if self._tokens > (batch if self._gathering else self.max_datagram_size) - 1:
            self._gathering = False
            return None
        # Whatever else wakes us meanwhile: packets that go one by one cost the most.
        self._gathering = True
        return now + (batch - self._tokens) / rate

    def update_after_send(self, now: float) -> None:
        """A packet is being written."""
        self._tokens -= self.max_datagram_size
        self._guessed += 1

    def sent(self, size: int) -> None:
        """It had this many bytes that count; 0 if it only acknowledges."""
        if self._guessed:
            self._guessed -= 1
            self._tokens += self.max_datagram_size - size

    def update_rate(self, congestion_window: int, smoothed_rtt: float) -> None:
        """The controller is asked each time instead."""

    def _batch(self, rate: float) -> float:
        return max(self.max_datagram_size, min(rate * BATCH_S, BATCH_MAX))

    def _refill(self, now: float, rate: float) -> None:
        if now > self._at:
            # Not less than one packet more than a batch: what is left of one would
            # be lost at each refill, and with it the rate.
            most = max(
                BURST_MIN * self.max_datagram_size,
                self._batch(rate) + self.max_datagram_size,
                min(rate * (LATE_S if self._gathering else IDLE_S), 8 * BATCH_MAX),
            )
            self._tokens = min(most, self._tokens + (now - self._at) * rate)
            self._at = now
