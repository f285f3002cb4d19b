"""Filters over time: what was the most, or the least, lately."""

from __future__ import annotations

import math
from collections import deque


class WindowedMax:
    """The largest value of the last `length` steps (of whatever is counted).

    It keeps the few values that may still become the largest one.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._values: deque[tuple[int, float]] = deque()

    @property
    def value(self) -> float:
        """The largest; 0 before the first."""
        return self._values[0][1] if self._values else 0.0

    def update(self, step: int, value: float) -> None:
        """A value of this step; steps never go back."""
        values = self._values
        while values and values[-1][1] <= value:
            values.pop()
        values.append((step, value))
        while values[0][0] <= step - self._length:
            values.popleft()

    def forget_before(self, step: int) -> None:
        """Forget older values, but never the newest one."""
        while len(self._values) > 1 and self._values[0][0] < step:
            self._values.popleft()

    def replace(self, step: int, value: float) -> None:
        """Forget everything but this."""
        self._values.clear()
        self._values.append((step, value))


class MinRtt:
    """The round trip of the empty path, and the queue that stands in it.

    A sample close to the minimum confirms it, so that a path whose queue is
    usually empty is never disturbed to find that out.

    :param lasts: seconds after which an unconfirmed minimum is not believed.
    :ivar value: the smallest round trip, in seconds.
    :ivar this_round: the smallest of the `samples` of the round trip under way.
    :ivar last_round: the smallest of the one before.
    """

    def __init__(self, lasts: float) -> None:
        self._lasts = lasts
        self._confirmed_at = 0.0
        self.this_round = math.inf
        self.samples = 0
        self.value = math.inf
        self.last_round = math.inf

    def update(self, rtt: float, now: float) -> None:
        """One sample, in seconds."""
        self.this_round = min(self.this_round, rtt)
        self.samples += 1
        if rtt <= self.value * 1.03:
            self._confirmed_at = now
            self.value = min(self.value, rtt)

    def round_ended(self) -> None:
        """Begin to look for the smallest sample of another round trip."""
        if self.this_round < math.inf:
            self.last_round, self.this_round = self.this_round, math.inf
            self.samples = 0

    def expired(self, now: float) -> bool:
        """Whether it is time to look whether the path has changed."""
        return now > self._confirmed_at + self._lasts

    def replace(self, rtt: float, now: float) -> None:
        """Believe this, whatever was before."""
        self.value, self._confirmed_at = rtt, now

    @property
    def queue(self) -> float:
        """Seconds that every packet of the last round waited: the standing queue."""
        return self.last_round - self.value if self.last_round < math.inf else 0.0
