"""Which packet numbers need no more attention."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Settled:
    """Packet numbers of one space that were acknowledged or given up for good.

    A peer repeats what it received in every ACK frame until it hears that we know
    (RFC 9000 section 13.2.3). What is new in a frame is found here by bisection, so
    a number is looked at once, however often and in whatever ranges it is named.
    """

    def __init__(self) -> None:
        # Where each run of numbers begins and ends, ascending; runs never touch.
        self._starts: list[int] = []
        self._stops: list[int] = []

    def __len__(self) -> int:
        """Runs that are kept: one more than the gaps that are not settled."""
        return len(self._starts)

    def add(self, start: int, stop: int) -> list[range]:
        """Settle the numbers from `start` up to but not `stop`; return the new ones."""
        if stop <= start:
            return []
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        if first == last:
            self._starts.insert(first, start)
            self._stops.insert(first, stop)
            return [range(start, stop)]
        new: list[range] = []
        at = start
        for run in range(first, last):
            if at < self._starts[run]:
                new.append(range(at, self._starts[run]))
            at = max(at, self._stops[run])
        if at < stop:
            new.append(range(at, stop))
        if new:
            self._starts[first:last] = [min(start, self._starts[first])]
            self._stops[first:last] = [max(stop, self._stops[last - 1])]
        return new
