"""A TCP flow with CUBIC to share a simulated bottleneck with (RFC 9438).

It always has data. Segments are numbered per transmission, and each arrival is
acknowledged by number, as SACK with the rules of RACK amounts to (RFC 2018,
RFC 8985); so what is modelled is the window and its reaction to loss, which is
what another flow feels. Without HyStart: slow start ends at the first loss.
"""

from __future__ import annotations

from collections import OrderedDict

from tests.events import Events
from tests.link import Direction

SEGMENT = 1448
"""Bytes of data in a segment of 1,500 bytes with time stamps."""

PACKET = 1500
ACK_PACKET = 52
REORDERING = 3
C, BETA = 0.4, 0.7
"""RFC 9438 section 5: segments per second cubed; what a loss leaves of the window."""


class Cubic:
    """A bulk transfer from when it is made."""

    def __init__(self, events: Events, data: Direction, acks: Direction) -> None:
        self.events = events
        self.window = 10.0
        self.arrivals: list[tuple[float, int]] = []
        self._data, self._acks = data, acks
        self._flying: OrderedDict[int, float] = OrderedDict()
        self._next = 0
        self._threshold = float("inf")
        self._most = 0.0
        self._epoch: float | None = None
        self._estimate = 0.0
        self._recovers_at = -1
        self._rtt = 0.2
        self._heard = events.now
        self._stopped = False
        self._send()
        events.at(events.now + 1.0, self._watch)

    def rate(self, since: float, until: float) -> float:
        """Bits of data that arrived per second in a stretch of time."""
        size = sum(size for at, size in self.arrivals if since <= at < until)
        return size * 8 / (until - since)

    def stop(self) -> None:
        """Send nothing more."""
        self.window = 0.0
        self._stopped = True

    def _send(self) -> None:
        now = self.events.now
        if self._stopped:
            return
        while len(self._flying) < int(self.window):
            number, self._next = self._next, self._next + 1
            self._flying[number] = now
            due = self._data.carry(PACKET, now)
            if due is not None:
                self.events.at(due, self._arrive, number)

    def _arrive(self, number: int) -> None:
        now = self.events.now
        self.arrivals.append((now, SEGMENT))
        due = self._acks.carry(ACK_PACKET, now)
        if due is not None:
            self.events.at(due, self._acked, number)

    def _acked(self, number: int) -> None:
        sent_at = self._flying.pop(number, None)
        if sent_at is None:
            return
        now = self.events.now
        self._heard = now
        self._rtt += 0.125 * (now - sent_at - self._rtt)
        lost = [each for each in self._flying if each <= number - REORDERING]
        for each in lost:
            del self._flying[each]
        if lost and number > self._recovers_at:
            self._recovers_at = self._next
            self._most = self.window if self.window >= self._most else self.window * 0.85
            self.window = self._threshold = max(2.0, self.window * BETA)
            self._epoch = None
        elif number > self._recovers_at:
            self._grow(now)
        self._send()

    def _grow(self, now: float) -> None:
        if self.window < self._threshold:
            self.window += 1
            return
        if self._epoch is None:
            self._epoch, self._estimate = now, self.window
        elapsed = now - self._epoch + self._rtt
        origin = (max(0.0, self._most - self._threshold) / C) ** (1 / 3)
        target = C * (elapsed - origin) ** 3 + self._most
        target = min(max(target, self.window), 1.5 * self.window)
        self._estimate += 3 * (1 - BETA) / (1 + BETA) / self.window
        self.window = max(self.window + (target - self.window) / self.window, self._estimate)

    def _watch(self) -> None:
        # The retransmission time-out: everything in flight is gone (RFC 6298).
        now = self.events.now
        if now - self._heard > max(0.2, 3 * self._rtt):
            self._flying.clear()
            self._threshold = max(2.0, self.window / 2)
            self.window, self._epoch, self._heard = 2.0, None, now
            self._recovers_at = self._next
            self._send()
        self.events.at(now + 0.1, self._watch)
