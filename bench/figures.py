"""From what was observed to the figures of a report. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Sample = tuple[float, int]
"""(Seconds, bytes so far), in the order of time."""

Times = Sequence[Sequence[float | None]]
"""[Sent at, returned at or None] of each byte of the echo."""


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Iterable[float | None]) -> float | None:
    """The middle one of those that are there; of an even number the lower middle."""
    return percentile([value for value in values if value is not None], 0.5)


def bytes_until(samples: Iterable[Sample], moment: float) -> int:
    """How much had come by then."""
    total = 0
    for at, bytes_so_far in samples:
        if at > moment:
            break
        total = bytes_so_far
    return total


def goodput_mbit(samples: Iterable[Sample], start: float, seconds: float) -> float:
    """Megabits (10^6) a second over the first so many seconds."""
    return bytes_until(samples, start + seconds) * 8 / 1e6 / seconds


def time_to(samples: Iterable[Sample], start: float, size: int) -> float | None:
    """Seconds until this many bytes had come, or None: they never did."""
    for at, total in samples:
        if total >= size:
            return at - start
    return None


def round_trips_ms(times: Times, begin: float, end: float, given_up: float) -> list[float]:
    """Round trips of the bytes typed from `begin` to `end`, in ms.

    One that never came back counts as long as it was waited for: too short, never
    too long.
    """
    found = []
    for sent, returned in times:
        if sent is not None and begin <= sent < end:
            found.append(((given_up if returned is None else returned) - sent) * 1e3)
    return found


def missing(times: Times, begin: float, end: float) -> int:
    """How many of the bytes typed in this time never came back."""
    return sum(
        1 for sent, back in times if sent is not None and begin <= sent < end and back is None
    )
