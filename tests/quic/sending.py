"""Recovery without a connection: what was sent and acknowledged is said by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aioquic.quic.congestion.base import QuicCongestionControl, register_congestion_control
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import QuicDeliveryState, QuicSentPacket
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.tls import Epoch

from edgetainer.quic.congestion import ModelBased
from edgetainer.quic.recovery import Recovery

ACKED, LOST = QuicDeliveryState.ACKED, QuicDeliveryState.LOST


class Watched(ModelBased):
    """Our controller, which writes down what it was told."""

    def __init__(self, *, max_datagram_size: int) -> None:
        super().__init__(max_datagram_size=max_datagram_size)
        self.lost: list[int] = []
        self.undone: list[int] = []
        self.acks = 0

    def on_packets_lost(self, *, now: float, packets: Any) -> None:
        packets = list(packets)
        self.lost += [packet.packet_number for packet in packets]
        super().on_packets_lost(now=now, packets=packets)

    def on_ack_processed(self, now: float) -> None:
        self.acks += 1
        super().on_ack_processed(now)

    def on_spurious_loss(self, now: float, packets: Iterable[QuicSentPacket]) -> None:
        packets = list(packets)
        self.undone += [packet.packet_number for packet in packets]
        super().on_spurious_loss(now, packets)


def make_watched(*, max_datagram_size: int) -> QuicCongestionControl:
    return Watched(max_datagram_size=max_datagram_size)


register_congestion_control("watched", make_watched)


class Sending:
    """Recovery of an established connection, and the fates of what it was told was sent."""

    def __init__(self, *, initial_rtt: float = 0.1) -> None:
        self.probes = 0
        self.recovery = Recovery(
            congestion_control_algorithm="watched",
            initial_rtt=initial_rtt,
            max_datagram_size=1200,
            peer_completed_address_validation=True,
            send_probe=self._probe,
        )
        self.recovery.handshake_confirmed = True
        self.space = QuicPacketSpace(is_application_data=True)
        self.recovery.spaces = [self.space]
        self.controller: Any = self.recovery._cc
        self.fates: dict[int, list[QuicDeliveryState]] = {}

    def _probe(self) -> None:
        self.probes += 1

    def send(self, number: int, at: float, *, crypto: bool = False) -> None:
        fates = self.fates[number] = []
        packet = QuicSentPacket(
            epoch=Epoch.ONE_RTT,
            in_flight=True,
            is_ack_eliciting=True,
            is_crypto_packet=crypto,
            packet_number=number,
            packet_type=QuicPacketType.ONE_RTT,
            sent_time=at,
            sent_bytes=1200,
            delivery_handlers=[(fates.append, ())],
        )
        self.recovery.on_packet_sent(packet=packet, space=self.space)

    def ack(self, *ranges: range, at: float, delay: float = 0.0) -> None:
        self.recovery.on_ack_received(
            ack_rangeset=RangeSet(ranges), ack_delay=delay, now=at, space=self.space
        )

    @property
    def due(self) -> float | None:
        return self.recovery.get_loss_detection_time(amplification_limited=False)

    def timer(self) -> float:
        """The timer fires; when it did."""
        at = self.due
        assert at is not None
        self.recovery.on_loss_detection_timeout(now=at)
        return at
