"""A bottleneck for `tests.network`: a rate, a queue, and what radio does to packets.

    link = Link(Path(rate=20e6, delay=0.04, queue=0.1, loss=0.01), seed=7)
    network = Network(link=link)

The order of things is that of a real access link, and of `bench/emulator.c`:
drop-tail queue, rate, loss, delay. Everything that goes the same way shares
the queue, whoever sent it, so flows can be held against each other. It is
arithmetic on arrival times: there are no timers, and the clock is the caller's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

IP_UDP = 28
"""Bytes that IPv4 and UDP add to each datagram (RFC 791, RFC 768)."""


@dataclass(frozen=True)
class Path:
    """One direction of a link.

    :param rate: bits per second at the bottleneck; 0 for no limit.
    :param delay: seconds, one way, without queueing.
    :param jitter: seconds; each packet's delay is off by up to this much, either
        way, and no packet overtakes another (a radio's scheduler).
    :param queue: seconds of the rate that the drop-tail queue holds.
    :param loss: probability that a packet is lost after the bottleneck.
    :param bursts: Gilbert-Elliott loss: probabilities of going from the good to
        the bad state and back, for each packet; in the bad state all are lost.
    :param late: probability that a packet is held up by `late_by`, so that later
        ones overtake it.
    """

    rate: float = 0.0
    delay: float = 0.01
    jitter: float = 0.0
    queue: float = 0.1
    loss: float = 0.0
    bursts: tuple[float, float] | None = None
    late: float = 0.0
    late_by: float = 0.0


class Direction:
    """What becomes of the packets that go one way."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.sent = 0
        self.overflowed = 0
        self.lost = 0
        self.delivered_bytes = 0
        self._random = random.Random(seed)
        self._bad = False
        self._free_at = 0.0
        self._last_due = 0.0

    def backlog(self, now: float) -> float:
        """Seconds that a packet sent now waits for those before it."""
        return max(0.0, self._free_at - now)

    def carry(self, size: int, now: float) -> float | None:
        """Take one packet of `size` bytes, headers included; when it arrives, or None."""
        path = self.path
        self.sent += 1
        leaves = now
        if path.rate:
            if self._free_at - now > path.queue:
                self.overflowed += 1
                return None
            leaves = self._free_at = max(now, self._free_at) + size * 8 / path.rate
        if self._is_lost():
            self.lost += 1
            return None
        self.delivered_bytes += size
        due = leaves + path.delay
        if path.jitter:
            due = max(self._last_due, due + path.jitter * (2 * self._random.random() - 1))
        self._last_due = due
        if path.late and self._random.random() < path.late:
            due += path.late_by
        return due

    def _is_lost(self) -> bool:
        path = self.path
        if path.bursts is not None:
            worsens, improves = path.bursts
            changes = self._random.random() < (improves if self._bad else worsens)
            self._bad ^= changes
            if self._bad:
                return True
        return self._random.random() < path.loss


class Link:
    """Both directions between the clients and the servers of a network.

    :param up: towards the server; :param down: back, the same when left out.
    """

    def __init__(self, up: Path, down: Path | None = None, *, seed: int = 1) -> None:
        print(f"link seed {seed}: {up}, {down or 'the same back'}")
        self.up = Direction(up, seed)
        self.down = Direction(down or up, seed + 1)

    @property
    def rtt(self) -> float:
        """Seconds there and back when the link is empty."""
        return self.up.path.delay + self.down.path.delay
