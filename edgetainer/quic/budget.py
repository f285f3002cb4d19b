"""What all connections of a process together may have granted beyond the minimum.

Each connection begins with a small receive window. What it grows by, and what
waits for paused readers outside of it, is memory that a peer may fill: it is taken
from one budget here, and given back. Who is refused goes on with what it has.
"""

from __future__ import annotations

PROCESS_BUDGET = 256 * 1024 * 1024
"""Bytes by default: sixteen connections at their largest, or a quarter of a
megabyte more than the minimum for each of a thousand."""


class Budget:
    """Bytes that may be granted; shared by the connections of a process.

    :param total: how many.

    :ivar used: how many are granted now.
    """

    def __init__(self, total: int = PROCESS_BUDGET) -> None:
        self.total = total
        self.used = 0
        self.holders = 0

    def share(self) -> Share:
        """A connection's part of it, at first nothing."""
        return Share(self)


class Share:
    """One connection's part of a budget.

    :ivar held: bytes that are granted to it.
    """

    __slots__ = ("_budget", "_closed", "held")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._closed = False
        self.held = 0

    def take(self, count: int) -> bool:
        """Ask for so many bytes more; whether they are granted.

        The first half of a budget is for whoever comes first. Of the second, nobody
        gets more than an equal part, so that the last to come finds some.
        """
        budget = self._budget
        if self._closed or count < 0 or budget.used + count > budget.total:
            return False
        if not count:
            return True
        holders = budget.holders + (0 if self.held else 1)
        if 2 * (budget.used + count) > budget.total and (
            self.held + count > budget.total // holders
        ):
            return False
        budget.holders = holders
        budget.used += count
        self.held += count
        return True

    def give_back(self, count: int) -> None:
        """So many bytes are not needed any more."""
        count = min(count, self.held)
        self.held -= count
        self._budget.used -= count
        if count and not self.held:
            self._budget.holders -= 1

    def close(self) -> None:
        """The connection is over; nothing is granted to it from now on."""
        self.give_back(self.held)
        self._closed = True


PROCESS = Budget()
"""The budget of connections that are given no other."""
