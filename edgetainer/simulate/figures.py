"""What the simulated devices saw: counts and times, for people and for benches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Figures:
    """Counted by all devices of a process.

    :ivar counts: "connected", "disconnected", "failed_rounds" (of dialling),
        "heartbeats", "refused_heartbeats" (not answered 200) and "deployed",
        "updating", "failed_deployments" (reports).
    :ivar waits: (moment of the answer, seconds from asking) of each heartbeat, in
        the order of the answers.
    """

    counts: Counter[str] = field(default_factory=Counter)
    waits: list[tuple[float, float]] = field(default_factory=list)
    #: Answers kept: an hour of 1,000 devices that beat once a minute.
    keep = 60_000

    def answered(self, at: float, wait: float) -> None:
        """A heartbeat was answered."""
        self.counts["heartbeats"] += 1
        self.waits.append((at, wait))
        if len(self.waits) > self.keep:
            del self.waits[: self.keep // 2]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        waits = sorted(wait for _, wait in self.waits)
        return {
            **self.counts,
            "heartbeat_p50_ms": _rank(waits, 0.50),
            "heartbeat_p99_ms": _rank(waits, 0.99),
            "heartbeat_most_ms": _rank(waits, 1.0),
        }


def _rank(values: list[float], share: float) -> float | None:
    if not values:
        return None
    return round(values[min(len(values) - 1, int(share * len(values)))] * 1000, 1)
