"""How a connection fares: what a person asks who wonders why a link is slow.

The numbers are counted where the packets pass, in `Counting`, and read all at
once as a frozen `Statistics`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aioquic.quic import events
from aioquic.quic.connection import NetworkAddress, QuicReceiveContext
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream

from edgetainer.quic.schedule import Priority
from edgetainer.quic.streams import Streams


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """One connection at one moment, as this end sees it. Times are seconds.

    :param rtt: smoothed round-trip time; None before the first sample.
    :param min_rtt: the shortest round trip seen; None before the first.
    :param packets_sent: QUIC packets, probes and retransmissions among them.
    :param packets_lost: of these, those that were declared lost (RFC 9002
        section 6.1) or were given up for a probe (section 6.2).
    :param rate: bytes a second that the congestion controller lets out; None where
        it sets a window only.
    :param congestion_window: bytes that may be in flight.
    :param bytes_in_flight: bytes sent and neither acknowledged nor lost.
    :param datagrams_sent: UDP payloads; as are the three that follow.
    :param bytes_sent: without the headers of IP and UDP.
    :param sent_by_class: bytes of streams by their class, each counted once however
        often it was sent; HTTP/3's own streams count as requests.
    :param received_by_class: the same; a stream has the class that this end gave it.
    :param migrations: how often the peer was reached on another path (RFC 9000
        section 9), each time after it had answered there.
    :param carrier: what carries the datagrams: "udp", for instance.
    :param datagram_size: bytes of the largest datagram that is sent.
    """

    rtt: float | None
    min_rtt: float | None
    packets_sent: int
    packets_lost: int
    rate: float | None
    congestion_window: int
    bytes_in_flight: int
    datagrams_sent: int
    datagrams_received: int
    bytes_sent: int
    bytes_received: int
    sent_by_class: Mapping[Priority, int]
    received_by_class: Mapping[Priority, int]
    migrations: int
    carrier: str
    datagram_size: int

    @property
    def loss(self) -> float:
        """The share of packets that were lost, 0 to 1."""
        return self.packets_lost / self.packets_sent if self.packets_sent else 0.0


class Counting(Streams):
    """Counts what passes; a part of `connection.Connection`.

    :ivar last_received: seconds on the caller's clock when the last packet came
        that was authentic and no duplicate; None before the first.
    :ivar last_sent: when something was sent last; None before the first.
    :ivar on_heard: called when such a packet comes, in the middle of reading it, so
        that no more may be done than to remember it.
    """

    migrations: int

    def __init__(self, **options: Any) -> None:
        self.last_received: float | None = None
        self.last_sent: float | None = None
        self.on_heard: Callable[[], None] | None = None
        self._datagrams_sent = 0
        self._datagrams_received = 0
        self._bytes_sent = 0
        self._bytes_received = 0
        self._sent_by_class: Counter[Priority] = Counter()
        self._received_by_class: Counter[Priority] = Counter()
        self._silence_survived = 0.0
        super().__init__(**options)

    def statistics(self) -> Statistics:
        """The numbers of this moment."""
        loss, route = self._loss, self.get_peer_address()
        return Statistics(
            rtt=loss._rtt_smoothed if loss._rtt_initialized else None,
            min_rtt=loss._rtt_min if math.isfinite(loss._rtt_min) else None,
            packets_sent=self._packet_number,
            packets_lost=getattr(loss, "packets_lost", 0),
            rate=getattr(loss._cc, "pacing_rate", None),
            congestion_window=loss.congestion_window,
            bytes_in_flight=loss.bytes_in_flight,
            datagrams_sent=self._datagrams_sent,
            datagrams_received=self._datagrams_received,
            bytes_sent=self._bytes_sent,
            bytes_received=self._bytes_received,
            sent_by_class={one: self._sent_by_class[one] for one in Priority},
            received_by_class={one: self._received_by_class[one] for one in Priority},
            migrations=self.migrations,
            carrier="" if route is None else route.carrier.kind,
            datagram_size=self._max_datagram_size,
        )

    def take_silence(self) -> float:
        """The longest silence of both ends that a packet of the peer has ended, in seconds.

        Counted since the last call. A packet that came through after so long found
        the way still open: no NAT on it had forgotten the connection by then.
        """
        survived, self._silence_survived = self._silence_survived, 0.0
        return survived

    # Overridden.

    def next_event(self) -> events.QuicEvent | None:
        """The next event, or None; see the base class."""
        event = super().next_event()
        if isinstance(event, events.StreamDataReceived):
            self._received_by_class[self.priority(event.stream_id)] += len(event.data)
        return event

    def _write_stream_frame(
        self,
        builder: QuicPacketBuilder,
        space: QuicPacketSpace,
        stream: QuicStream,
        max_offset: int,
    ) -> int:
        used = super()._write_stream_frame(builder, space, stream, max_offset)
        if used > 0 and stream.stream_id is not None:
            self._sent_by_class[self.priority(stream.stream_id)] += used
        return used

    def receive_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """Take one datagram; see the base class."""
        self._datagrams_received += 1
        self._bytes_received += len(data)
        super().receive_datagram(data, addr, now)

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """What is to be sent now; see the base class."""
        datagrams = super().datagrams_to_send(now)
        if datagrams:
            self.last_sent = now
            self._datagrams_sent += len(datagrams)
            self._bytes_sent += sum(len(data) for data, _ in datagrams)
        return datagrams

    def _payload_received(
        self, context: QuicReceiveContext, plain: bytes, crypto_frame_required: bool = False
    ) -> tuple[bool, bool]:
        # Only packets that decrypted and are no duplicates come here.
        spoke = max(self.last_received or 0.0, self.last_sent or 0.0)
        self._silence_survived = max(self._silence_survived, context.time - spoke)
        self.last_received = context.time
        if self.on_heard is not None:
            self.on_heard()
        return super()._payload_received(context, plain, crypto_frame_required)
