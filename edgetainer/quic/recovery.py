"""What was sent, what arrived of it, and what must be sent again (RFC 9002).

aioquic's recovery is replaced where it gives way on bad links:

- A packet that was given up and is acknowledged after all is *remembered*: its
  bytes are not sent a third time, the thresholds of reordering grow, and the
  congestion controller takes its reaction back.
- A probe time-out gives nothing up: what it sends again stays in flight.
- Probes never lie far apart, so that an outage is over when the link is back.
- An acknowledgement costs what it newly acknowledges, whatever is in flight.

Delivery handlers therefore may hear LOST once and ACKED once, in that order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.packet_builder import QuicDeliveryState, QuicSentPacket
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.recovery import QuicPacketPacer, QuicPacketSpace

from edgetainer.quic.congestion import ModelBased
from edgetainer.quic.memory import REMEMBERED_PROBE_TIMEOUTS, History, sent_at, tell
from edgetainer.quic.pacer import Pacer
from edgetainer.quic.probing import Probing
from edgetainer.quic.reordering import Reordering
from edgetainer.quic.rtt import GRANULARITY, RttEstimator

INITIAL_RTT_MAX = 1.0
"""Seconds that a round trip is taken for at most before it was measured."""


class Recovery(Probing):
    """Loss recovery of one connection; see aioquic for what its methods take.

    :ivar controller: congestion control when it is ours, which sets the pacing too.
    :ivar on_large: hears what became of packets that not every path carries.
    :ivar packets_lost: how many packets were lost, as far as is known now.
    :ivar packets_late: how many counted as lost and arrived.
    """

    def __init__(self, *, max_datagram_size: int, **options: Any) -> None:
        super().__init__(max_datagram_size=max_datagram_size, **options)
        self.controller: ModelBased | None = None
        if isinstance(self._cc, ModelBased):
            self.controller = self._cc
            self._pacer: Pacer | QuicPacketPacer = Pacer(  # type: ignore[assignment]
                self._cc, max_datagram_size=max_datagram_size
            )
        self.reordering = Reordering()
        self.on_large: Callable[[QuicDeliveryState, int], None] | None = None
        self.packets_lost = 0
        self.packets_late = 0
        self._next_packet = 0

    # Sending.

    def on_packet_sent(self, *, packet: QuicSentPacket, space: QuicPacketSpace) -> None:
        """A packet left."""
        if packet.is_ack_eliciting and not space.ack_eliciting_in_flight:
            self._silent_since = max(self._silent_since, sent_at(packet))
        self._next_packet = packet.packet_number + 1
        large = packet.in_flight and packet.sent_bytes > SMALLEST_MAX_DATAGRAM_SIZE
        if large and self.on_large is not None:
            packet.delivery_handlers.append((self.on_large, (packet.packet_number,)))
        if isinstance(self._pacer, Pacer):
            self._pacer.sent(packet.sent_bytes if packet.in_flight else 0)
        super().on_packet_sent(packet=packet, space=space)

    # Acknowledgements.

    def on_ack_received(
        self, *, ack_rangeset: RangeSet, ack_delay: float, now: float, space: QuicPacketSpace
    ) -> None:
        """The peer said what it received (RFC 9002 appendix A.7)."""
        history = self._history(space)
        largest = min(ack_rangeset[-1].stop, self._next_packet) - 1
        space.largest_acked_packet = max(space.largest_acked_packet, largest)
        newest: QuicSentPacket | None = None
        is_ack_eliciting = False
        late: list[QuicSentPacket] = []
        for number in history.new(ack_rangeset, self._next_packet):
            packet = space.sent_packets.pop(number, None)
            if packet is not None:
                history.sent_again.discard(number)
                if packet.is_ack_eliciting:
                    space.ack_eliciting_in_flight -= 1
                if packet.in_flight:
                    self._cc.on_packet_acked(packet=packet, now=now)
            elif number in history.given_up:
                given_up = history.given_up.pop(number)
                packet = given_up.packet
                if given_up.lost:
                    late.append(packet)
            else:
                continue
            newest = packet
            is_ack_eliciting = is_ack_eliciting or packet.is_ack_eliciting
            tell(packet, QuicDeliveryState.ACKED)
        if newest is None:
            return

        sampled = newest.packet_number == largest and is_ack_eliciting
        if sampled:
            self._sample(now - sent_at(newest), ack_delay=ack_delay, now=now)
        if late:
            self._arrived_late(late, space=space, now=now)
        self._detect_loss(now=now, space=space)
        if self.controller is not None:
            self.controller.on_ack_processed(now=now)
        self._update_pacer()

        self._silent_since = now
        # Not reset while the client is not yet certain that the server has
        # validated its address (RFC 9002 section 6.2.1).
        if self.peer_completed_address_validation:
            self._pto_count = 0
        if self._quic_logger is not None:
            self._log_metrics_updated(log_rtt=sampled)

    def _sample(self, latest: float, *, ack_delay: float, now: float) -> None:
        if self.handshake_confirmed:
            ack_delay = min(ack_delay, self.max_ack_delay)
        rtt = self.rtt
        rtt.sample(max(latest, 1e-6), ack_delay=ack_delay, now=now)
        # aioquic's names, which its logging and its test of persistent congestion read.
        self._rtt_initialized = True
        self._rtt_first_sample_time = rtt.first_sample_at or now
        self._rtt_latest = rtt.latest
        self._rtt_min = rtt.min
        self._rtt_smoothed = rtt.smoothed
        self._rtt_variance = rtt.variation
        self._cc.on_rtt_measurement(now=now, rtt=latest)

    def _arrived_late(
        self, late: list[QuicSentPacket], *, space: QuicPacketSpace, now: float
    ) -> None:
        """Packets that counted as lost were acknowledged (RFC 9002 section 6.1)."""
        expected = self.rtt.expected
        for packet in late:
            self.reordering.late(
                distance=space.largest_acked_packet - packet.packet_number,
                lateness=now - sent_at(packet) - expected,
                rtt=expected,
            )
        self.packets_late += len(late)
        self.packets_lost -= len(late)
        packets = [packet for packet in late if packet.in_flight]
        if self.controller is not None and packets:
            self.controller.on_spurious_loss(now=now, packets=packets)

    # Losses.

    def _detect_loss(self, *, now: float, space: QuicPacketSpace) -> None:
        """Give up what was overtaken by too many, or too long ago (RFC 9002 6.1)."""
        delay = max(self.reordering.delay(self.rtt.expected), GRANULARITY)
        largest = space.largest_acked_packet
        lost: list[QuicSentPacket] = []
        space.loss_time = None
        # In the order of sending: behind the first that may still come, all may.
        for number, packet in space.sent_packets.items():
            if number > largest:
                break
            due = sent_at(packet) + delay
            if number > largest - self.reordering.packets and due > now:
                space.loss_time = due
                break
            lost.append(packet)
        if lost:
            self._lose(lost, space=space, now=now)
        before = now - REMEMBERED_PROBE_TIMEOUTS * self.get_probe_timeout()
        for _ in range(self._history(space).forget(before)):
            self.reordering.stood()

    def _lose(self, lost: list[QuicSentPacket], *, space: QuicPacketSpace, now: float) -> None:
        # Before they are given up, since it looks at what is in flight around them.
        persistent = self._in_persistent_congestion(packets=lost)
        self._give_up(lost, space=space, now=now, lost=True)
        self.packets_lost += len(lost)
        in_flight = [packet for packet in lost if packet.in_flight]
        if in_flight:
            self._cc.on_packets_lost(now=now, packets=in_flight)
            if persistent:
                self.rtt.forget_min()
                self._cc.on_persistent_congestion()
            self._update_pacer()

    def guess_rtt(self, rtt: float) -> None:
        """Before the first sample: a round trip takes about so long, or took once.

        A guess only ever lengthens what was configured: one that is too short costs
        packets on a slow link, one that is too long costs time only after a loss.
        """
        if not self._rtt_initialized and rtt > self.rtt.initial:
            self.rtt.initial = self._rtt_initial = min(rtt, INITIAL_RTT_MAX)

    def handshake_restarted(self, spaces: list[QuicPacketSpace], *, now: float) -> None:
        """A Retry came: what was sent is void, and the round trip is known roughly.

        :param spaces: those of the attempt before (RFC 9000 section 17.2.5).
        """
        first = math.inf
        for space in spaces:
            history = self._histories.pop(space, History())
            for given_up in history.given_up.values():
                first = min(first, sent_at(given_up.packet))
            for packet in space.sent_packets.values():
                first = min(first, sent_at(packet))
            self._cc.on_packets_expired(
                packets=[packet for packet in space.sent_packets.values() if packet.in_flight]
            )
        self._pto_count = 0
        if first < now:
            # The time since the first Initial packet (RFC 9002 section 6.2.2).
            self.guess_rtt(now - first)

    def set_max_datagram_size(self, size: int) -> None:
        """Datagrams of the path are this large from now on, in bytes."""
        if self.controller is not None:
            self.controller.set_max_datagram_size(size)
        if isinstance(self._pacer, Pacer):
            self._pacer.max_datagram_size = size

    def on_path_changed(self, *, now: float) -> None:
        """Begin anew on another network (RFC 9000 section 9.4).

        What is under way on the old path is still acknowledged or sent again, but
        counts no longer: neither its losses nor its bytes say anything of the new one.
        """
        for space in self.spaces:
            flying = [packet for packet in space.sent_packets.values() if packet.in_flight]
            self._cc.on_packets_expired(packets=flying)
            for packet in flying:
                packet.in_flight = False
        self.rtt = RttEstimator(self.rtt.initial)
        self.reordering = Reordering()
        self._rtt_initialized = False
        self._rtt_min = math.inf
        self._pto_count = 0
        if self.controller is not None:
            self.controller.on_path_changed(now=now)

    def _update_pacer(self) -> None:
        if self._rtt_initialized:
            self._pacer.update_rate(
                congestion_window=self._cc.congestion_window, smoothed_rtt=self.rtt.smoothed
            )
