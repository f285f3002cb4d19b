"""Asking again when nothing is heard (RFC 9002 section 6.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aioquic.quic.packet_builder import QuicDeliveryState, QuicSentPacket
from aioquic.quic.recovery import QuicPacketSpace

from edgetainer.quic.memory import Remembering, sent_at, tell
from edgetainer.quic.rtt import RttEstimator

MAX_PROBE_INTERVAL = 2.0
"""Seconds between probes while nothing is acknowledged. Doubling without end, as
RFC 9002 section 6.2.1 has it, would wait another minute after a minute's outage."""

EARLY_PROBE_INTERVAL = 0.5
"""The same in the first seconds of silence, when people still wait at the screen."""

EARLY_S = 15.0
"""How many seconds of silence those are."""

HANDSHAKE_PROBE_MIN = 0.1
"""Seconds before a handshake message is repeated at least: on a fast network the
other end's signatures take longer than the packets, the more so when a thousand
devices come back at once."""


class Probing(Remembering):
    """When to probe, and with what; a part of `recovery.Recovery`.

    :ivar on_probe: called before a probe is made, to queue what it had best carry.
    """

    def __init__(self, *, initial_rtt: float, **options: Any) -> None:
        super().__init__(initial_rtt=initial_rtt, **options)
        self.rtt = RttEstimator(initial_rtt)
        self.on_probe: Callable[[], None] = lambda: None
        self._silent_since = 0.0

    def get_loss_detection_time(self, *, amplification_limited: bool) -> float | None:
        """When the loss timer fires, in seconds on the caller's clock (RFC 9002 6.2)."""
        # Beyond this the cap below decides anyway, and 2**n overflows a float.
        self._pto_count = min(self._pto_count, 16)
        at = super().get_loss_detection_time(amplification_limited=amplification_limited)
        if at is None or self._get_loss_space() is not None:
            return at
        last = self._time_of_last_sent_ack_eliciting_packet
        early = self._rtt_initialized and last - self._silent_since < EARLY_S
        cap = EARLY_PROBE_INTERVAL if early else MAX_PROBE_INTERVAL
        return min(at, last + max(cap, self.get_probe_timeout()))

    def get_probe_timeout(self, *, include_max_ack_delay: bool = True) -> float:
        """Seconds without an answer after which to ask again, without back-off."""
        timeout = self.rtt.timeout
        if not self.handshake_confirmed:
            return max(timeout, HANDSHAKE_PROBE_MIN)
        if include_max_ack_delay and self._rtt_initialized:
            timeout += self.max_ack_delay
        return timeout

    def on_loss_detection_timeout(self, *, now: float) -> None:
        """The loss timer fired: give up what is too old, or probe."""
        space = self._get_loss_space()
        if space is not None:
            self._detect_loss(now=now, space=space)
        else:
            self._pto_count += 1
            self.reschedule_data(now=now)

    def reschedule_data(self, *, now: float, speed_up_handshake: bool = False) -> None:
        """Send something again although nothing is known to be lost (RFC 9002 6.2.4).

        Interactive bytes and the oldest packet go again, or during the handshake
        all CRYPTO data. Their first copies stay in flight and may still arrive.
        """
        handshaking = False
        for space in self.spaces:
            crypto = [packet for packet in space.sent_packets.values() if packet.is_crypto_packet]
            if crypto:
                handshaking = True
                self._expire(crypto, space=space, now=now)
        if not handshaking and not speed_up_handshake:
            self.on_probe()
            oldest = self._oldest_not_sent_again()
            if oldest is not None:
                packet, space = oldest
                self._history(space).sent_again.add(packet.packet_number)
                tell(packet, QuicDeliveryState.LOST)
        self._send_probe()

    def _oldest_not_sent_again(self) -> tuple[QuicSentPacket, QuicPacketSpace] | None:
        candidates: list[tuple[QuicSentPacket, QuicPacketSpace]] = []
        for space in self.spaces:
            # Application data does not arm the timer before the handshake is confirmed.
            if space.is_application_data and not self.handshake_confirmed:
                continue
            sent_again = self._history(space).sent_again
            for number, packet in space.sent_packets.items():
                if packet.is_ack_eliciting and number not in sent_again:
                    candidates.append((packet, space))
                    break
        return min(candidates, key=lambda found: sent_at(found[0]), default=None)

    def _expire(self, packets: list[QuicSentPacket], *, space: QuicPacketSpace, now: float) -> None:
        """Send CRYPTO data again; the window must not be full of its earlier copies."""
        self._give_up(packets, space=space, now=now, lost=False)
        self._cc.on_packets_expired(packets=[packet for packet in packets if packet.in_flight])
