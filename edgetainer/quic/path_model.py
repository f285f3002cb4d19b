"""What is known of a path: the two numbers that a model of it needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PathModel:
    """A path as a sender sees it (Cardwell et al., "BBR", ACM Queue 14 (5), 2016).

    :param bandwidth: bytes per second that the bottleneck delivers.
    :param min_rtt: seconds there and back when no queue stands.
    """

    bandwidth: float
    min_rtt: float

    @property
    def bdp(self) -> float:
        """Bytes in flight that fill the path and no queue."""
        return self.bandwidth * self.min_rtt
