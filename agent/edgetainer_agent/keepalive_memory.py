"""How long each network lets the device be silent, to begin with next time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgetainer.tunnel.keepalive import LEAST, MOST, Bounds
from edgetainer_agent.networks import NetworkMemory, network


def keepalive_memory(path: Path, *, here: Callable[[], str] = network) -> NetworkMemory[Bounds]:
    """What was learned of each network, in the file at `path`."""
    return NetworkMemory(
        path, encode=lambda bounds: [bounds.good, bounds.bad], decode=_bounds, here=here
    )


def _bounds(pair: Any) -> Bounds:
    good, bad = pair
    # NaN is in no range.
    if not LEAST <= good <= MOST or (bad is not None and not LEAST <= bad <= 2 * MOST):
        raise ValueError(f"{good} and {bad} are no bounds")
    return Bounds(float(good), None if bad is None else float(bad))
