"""What somebody may do before it is too much: so many at once, and so many a second."""

from __future__ import annotations


class Allowance:
    """So many at once, and so many a second (a token bucket).

    :param burst: how many at once.
    :param rate: how many a second.
    """

    __slots__ = ("_at", "_burst", "_rate", "left")

    def __init__(self, burst: float, rate: float) -> None:
        self._burst = self.left = float(burst)
        self._rate = rate
        self._at = 0.0

    def refill(self, now: float) -> float:
        """How many are left at this time, in seconds on the caller's clock."""
        if now > self._at:
            self.left = min(self._burst, self.left + (now - self._at) * self._rate)
            self._at = now
        return self.left

    def take(self, now: float, count: int = 1) -> bool:
        """Use some; whether they were left."""
        if self.refill(now) < count:
            return False
        self.left -= count
        return True
