"""Time for simulations that have too many events for `twisted.internet.task.Clock`."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class Events:
    """Calls in the order of their times; those of one time in the order they were asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._calls: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0

    def at(self, time: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call it at this time, or at once if that is past."""
        self._asked += 1
        heapq.heappush(self._calls, (max(time, self.now), self._asked, call, arguments))

    def run(self, until: float) -> None:
        """Let time pass until then."""
        while self._calls and self._calls[0][0] <= until:
            self.now, _, call, arguments = heapq.heappop(self._calls)
            call(*arguments)
        self.now = until
