"""The bytes of a bulk transfer: cheap to make, and any loss, swap or repetition shows."""

from __future__ import annotations

import random

#: A prime, so that no buffer size divides it and a shifted stream never matches.
PERIOD = 1_048_573
_DOUBLE = memoryview(random.Random(3).randbytes(PERIOD) * 2)


def piece(offset: int, size: int) -> memoryview:
    """Bytes `offset` to `offset + size` of the endless pattern; `size` up to `PERIOD`."""
    start = offset % PERIOD
    return _DOUBLE[start : start + size]


def matches(offset: int, data: bytes | memoryview) -> bool:
    """Whether `data` are the pattern's bytes from `offset` on."""
    return piece(offset, len(data)) == data
