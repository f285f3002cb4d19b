"""How much later than its successors a packet may come before it counts as lost.

RFC 9002 section 6.1 proposes three packets and an eighth of a round trip, and lets
both grow when packets that were given up arrive after all. They grow here to what
was seen, and shrink again while losses turn out to be real, as the reordering
window of RACK does (RFC 8985 section 6.2): radio links that send a frame again
locally deliver it tens of milliseconds late, again and again, until the device
has moved on.
"""

from __future__ import annotations

PACKETS = 3
"""kPacketThreshold of RFC 9002 section 6.1.1."""

PACKETS_MAX = 96
"""Receivers of aioquic's kind take packets 128 below the newest for duplicates, so
waiting for them longer cannot help."""

TIME_FRACTION = 1 / 8
"""Of a round trip: kTimeThreshold of RFC 9002 section 6.1.2, without the round trip."""

LOSSES_TO_SHRINK = 16
"""Real losses in a row after which the thresholds are halved (as RACK's
reo_wnd_persist, RFC 8985 section 6.2)."""


class Reordering:
    """The two thresholds of one path: packets, and seconds beyond a round trip."""

    def __init__(self) -> None:
        self.packets = PACKETS
        self._window = 0.0
        self._real = 0

    def delay(self, rtt: float) -> float:
        """Seconds after sending when a packet counts as lost, given a round trip."""
        return rtt + max(rtt * TIME_FRACTION, self._window)

    def late(self, *, distance: int, lateness: float, rtt: float) -> None:
        """A packet that counted as lost was acknowledged.

        :param distance: by so many packets it was overtaken.
        :param lateness: seconds that it took beyond a round trip.
        :param rtt: the round trip; waiting for longer than another of them (RFC 8985
            section 6.2) costs more than it saves.
        """
        self._real = 0
        self.packets = max(self.packets, min(distance + 1, PACKETS_MAX))
        # An eighth more than was seen, so that the next one does not just miss it.
        self._window = max(self._window, min(lateness * (1 + TIME_FRACTION), rtt))

    def stood(self) -> None:
        """A packet that counted as lost was not heard of for long: it was."""
        self._real += 1
        if self._real >= LOSSES_TO_SHRINK:
            self._real = 0
            self.packets = max(PACKETS, self.packets // 2)
            self._window /= 2
