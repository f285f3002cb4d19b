"""How long a round trip takes (RFC 9002 section 5)."""

from __future__ import annotations

import math

GRANULARITY = 0.001
"""Seconds: the finest that timers are trusted with (RFC 9002 section 6.1.2)."""


class RttEstimator:
    """Estimates of one path's round-trip time; all in seconds.

    aioquic's own takes its variation around the smallest sample, not around the
    mean, so that a queue that comes and goes looks like a path that swings; and it
    takes nothing below a millisecond.

    :param initial: the guess before the first sample.
    """

    def __init__(self, initial: float) -> None:
        self.initial = initial
        self.latest = 0.0
        self.min = math.inf
        self.smoothed = 0.0
        self.variation = 0.0
        self.first_sample_at: float | None = None

    def sample(self, rtt: float, *, ack_delay: float, now: float) -> None:
        """Take one measurement.

        :param rtt: from sending a packet to receiving its acknowledgement.
        :param ack_delay: how long the peer says that it waited before it
            acknowledged, already bounded by what it announced.
        """
        self.min = min(self.min, rtt)
        if self.first_sample_at is None:
            self.first_sample_at = now
            self.latest = self.smoothed = rtt
            self.variation = rtt / 2
            return
        # A delay that would explain more than the whole path is not believed.
        self.latest = rtt - ack_delay if rtt >= self.min + ack_delay else rtt
        deviation = abs(self.smoothed - self.latest)
        self.variation += (deviation - self.variation) / 4
        self.smoothed += (self.latest - self.smoothed) / 8

    def forget_min(self) -> None:
        """The next sample is the new minimum: the path may have changed (RFC 9002 5.2)."""
        self.min = math.inf

    @property
    def expected(self) -> float:
        """The larger of the mean and the latest, or the guess before any."""
        if self.first_sample_at is None:
            return self.initial
        return max(self.smoothed, self.latest)

    @property
    def timeout(self) -> float:
        """After so long without an answer, not counting the peer's own delay, one
        may ask again (RFC 9002 section 6.2.1)."""
        if self.first_sample_at is None:
            return 2 * self.initial
        return self.smoothed + max(4 * self.variation, GRANULARITY)
