"""Loss recovery that is quick to notice that a lost link is back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aioquic.quic.packet_builder import QuicSentPacket
from aioquic.quic.recovery import QuicPacketRecovery

MAX_PROBE_INTERVAL = 2.0
"""Seconds between probes while nothing is acknowledged. aioquic doubles without
end, and after a minute's outage would wait another minute."""


class Recovery(QuicPacketRecovery):
    """Loss recovery whose back-off ends at `MAX_PROBE_INTERVAL`.

    :ivar packets_lost: how many packets were declared lost or given up for a probe.
    """

    packets_lost = 0

    def get_loss_detection_time(self, *, amplification_limited: bool) -> float | None:
        """When the loss timer fires, in seconds on the caller's clock (RFC 9002 6.2)."""
        # Beyond this the cap below decides anyway, and 2**n overflows a float.
        self._pto_count = min(self._pto_count, 16)
        at = super().get_loss_detection_time(amplification_limited=amplification_limited)
        if at is None or self._get_loss_space() is not None:
            return at
        longest = max(MAX_PROBE_INTERVAL, self.get_probe_timeout())
        return min(at, self._time_of_last_sent_ack_eliciting_packet + longest)

    def _on_packets_lost(self, *, packets: Iterable[QuicSentPacket], **rest: Any) -> None:
        packets = list(packets)
        self.packets_lost += len(packets)
        super()._on_packets_lost(packets=packets, **rest)
