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

import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, cast

from aioquic.quic.logger import QuicLoggerTrace
from aioquic.quic.packet_builder import QuicDeliveryState, QuicSentPacket
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.recovery import QuicPacketPacer, QuicPacketRecovery, QuicPacketSpace

from edgetainer.quic.congestion import ModelBased
from edgetainer.quic.pacer import Pacer
from edgetainer.quic.reordering import Reordering
from edgetainer.quic.rtt import GRANULARITY, RttEstimator
from edgetainer.quic.settled import Settled

MAX_PROBE_INTERVAL = 2.0
"""Seconds between probes while nothing is acknowledged. Doubling without end, as
RFC 9002 section 6.2.1 has it, would wait another minute after a minute's outage."""

EARLY_PROBE_INTERVAL = 0.5
"""The same in the first seconds of silence, when people still wait at the screen."""

EARLY_S = 15.0
"""How many seconds of silence those are."""

REMEMBERED_PACKETS = 2048
"""Packets that are remembered after they were given up: a satellite's window.
Each keeps about half a kilobyte."""

REMEMBERED_PROBE_TIMEOUTS = 4
"""Probe time-outs for which they are remembered."""


INITIAL_RTT_MAX = 1.0
"""Seconds that a round trip is taken for at most before it was measured."""


class Undoing(Protocol):
    """What our congestion controllers are told beyond aioquic's interface."""

    def on_ack_processed(self, now: float) -> None:
        """Every packet of one ACK frame was reported."""

    def on_spurious_loss(self, now: float, packets: list[QuicSentPacket]) -> None:
        """These were reported as lost, and arrived."""

    def on_path_changed(self, now: float) -> None:
        """Nothing is known of the path to the peer any more."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A packet whose content was queued again.

    :param at: when, in seconds.
    :param lost: whether it counts as lost, and the congestion controller was told.
    """

    packet: QuicSentPacket
    at: float
    lost: bool


@dataclass
class History:
    """What recovery knows of one packet number space beyond its sent packets.

    :param settled: numbers that need no more attention.
    :param given_up: by number, in the order in which they were given up.
    :param sent_again: numbers in flight whose content was queued again by a probe.
    """

    settled: Settled = field(default_factory=Settled)
    given_up: OrderedDict[int, GivenUp] = field(default_factory=OrderedDict)
    sent_again: set[int] = field(default_factory=set)


class Recovery(QuicPacketRecovery):
    """Loss recovery of one connection; see aioquic for what its methods take.

    :ivar controller: congestion control when it is ours, which sets the pacing too.
    :ivar packets_lost: how many packets were lost, as far as is known now.
    :ivar packets_late: how many counted as lost and arrived.
    """

    def __init__(
        self,
        *,
        congestion_control_algorithm: str,
        initial_rtt: float,
        max_datagram_size: int,
        peer_completed_address_validation: bool,
        send_probe: Callable[[], None],
        logger: logging.LoggerAdapter[logging.Logger] | None = None,
        quic_logger: QuicLoggerTrace | None = None,
    ) -> None:
        super().__init__(
            congestion_control_algorithm=congestion_control_algorithm,
            initial_rtt=initial_rtt,
            max_datagram_size=max_datagram_size,
            peer_completed_address_validation=peer_completed_address_validation,
            send_probe=send_probe,
            logger=logger,
            quic_logger=quic_logger,
        )
        self.controller: ModelBased | None = None
        if isinstance(self._cc, ModelBased):
            self.controller = self._cc
            self._pacer: Pacer | QuicPacketPacer = Pacer(  # type: ignore[assignment]
                self._cc, max_datagram_size=max_datagram_size
            )
        self.rtt = RttEstimator(initial_rtt)
        self.reordering = Reordering()
        self.on_probe: Callable[[], None] = lambda: None
        self.packets_lost = 0
        self.packets_late = 0
        self._histories: dict[QuicPacketSpace, History] = {}
        self._next_packet = 0
        self._silent_since = 0.0
        # aioquic's own controllers have no such methods.
        self._undoing = cast(Undoing, self._cc) if hasattr(self._cc, "on_ack_processed") else None

    # Timers.

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

    # Sending.

    def on_packet_sent(self, *, packet: QuicSentPacket, space: QuicPacketSpace) -> None:
        """A packet left."""
        if packet.is_ack_eliciting and not space.ack_eliciting_in_flight:
            self._silent_since = max(self._silent_since, sent_at(packet))
        self._next_packet = packet.packet_number + 1
        if isinstance(self._pacer, Pacer):
            self._pacer.sent(packet.sent_bytes if packet.in_flight else 0)
        super().on_packet_sent(packet=packet, space=space)

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
        for acked in ack_rangeset:
            for new in history.settled.add(acked.start, min(acked.stop, self._next_packet)):
                for number in new:
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
        if self._undoing is not None:
            self._undoing.on_ack_processed(now=now)
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
        if self._undoing is not None and packets:
            self._undoing.on_spurious_loss(now=now, packets=packets)

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
        self._forget(self._history(space), now)

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

    def _give_up(
        self, packets: Iterable[QuicSentPacket], *, space: QuicPacketSpace, now: float, lost: bool
    ) -> None:
        """Queue the content of packets again, and remember them for a while."""
        history = self._history(space)
        for packet in packets:
            number = packet.packet_number
            del space.sent_packets[number]
            if packet.is_ack_eliciting:
                space.ack_eliciting_in_flight -= 1
            history.given_up[number] = GivenUp(packet, now, lost)
            if number in history.sent_again:
                history.sent_again.discard(number)
            else:
                tell(packet, QuicDeliveryState.LOST)
            if self._quic_logger is not None:
                self._quic_logger.log_event(
                    category="recovery",
                    event="packet_lost",
                    data={
                        "type": self._quic_logger.packet_type(packet.packet_type),
                        "packet_number": number,
                    },
                )

    def _forget(self, history: History, now: float) -> None:
        """Settle what was given up so long ago that it will not come."""
        given_up = history.given_up
        before = now - REMEMBERED_PROBE_TIMEOUTS * self.get_probe_timeout()
        while given_up:
            number, oldest = next(iter(given_up.items()))
            if oldest.at > before and len(given_up) <= REMEMBERED_PACKETS:
                break
            del given_up[number]
            history.settled.add(number, number + 1)
            if oldest.lost:
                self.reordering.stood()

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
            self.rtt.initial = self._rtt_initial = min(now - first, INITIAL_RTT_MAX)

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
        self._rtt_initialized = False
        self._rtt_min = math.inf
        self._pto_count = 0
        if self._undoing is not None:
            self._undoing.on_path_changed(now=now)

    def discard_space(self, space: QuicPacketSpace) -> None:
        """The keys of a space are gone: nothing more will be heard of it."""
        super().discard_space(space)
        self._histories.pop(space, None)

    def _history(self, space: QuicPacketSpace) -> History:
        history = self._histories.get(space)
        if history is None:
            history = self._histories[space] = History()
        return history

    def _update_pacer(self) -> None:
        if self._rtt_initialized:
            self._pacer.update_rate(
                congestion_window=self._cc.congestion_window, smoothed_rtt=self.rtt.smoothed
            )


def tell(packet: QuicSentPacket, delivery: QuicDeliveryState) -> None:
    """Tell those whose frames the packet carried what became of it."""
    for handler, args in packet.delivery_handlers:
        handler(delivery, *args)


def sent_at(packet: QuicSentPacket) -> float:
    """When a packet that was sent was sent."""
    assert packet.sent_time is not None
    return packet.sent_time
