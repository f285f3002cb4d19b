"""How long to wait before trying again: full jitter under a growing bound.

Every device of a server that restarts comes back at once; waits drawn evenly
from the whole span spread them best. Pure: no clock, and chance is handed in.
"""

from __future__ import annotations

from typing import Protocol

#: First bound of the wait, in seconds: a short hiccup costs a second.
LEAST = 1.0

#: Largest bound of the wait, in seconds, on a standard link: with the 15 s of an
#: attempt a device is back within a minute of its server, and ten thousand devices
#: knock fewer than 450 times a second.
MOST = 45.0

# 2**12 seconds are over any bound; counting on would overflow one day.
_MOST_FAILURES = 12


class Chance(Protocol):
    """What is asked of `random.Random`."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number drawn evenly from `a` to `b`."""


class Backoff:
    """Counts failures in a row and draws the next wait.

    :param most: largest bound of the wait, in seconds.
    """

    def __init__(self, random: Chance, *, most: float = MOST) -> None:
        self._random = random
        self._most = most
        self._failures = 0

    def next(self) -> float:
        """Count a failure; return the seconds to wait, 0 to the present bound."""
        bound = min(self._most, LEAST * 2.0**self._failures)
        self._failures = min(self._failures + 1, _MOST_FAILURES)
        return self._random.uniform(0.0, bound)

    def reset(self, failures: int = 0) -> None:
        """The server has accepted us; or begin again as after so many failures."""
        self._failures = min(failures, _MOST_FAILURES)
