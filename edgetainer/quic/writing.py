"""What goes into each packet, once the handshake has keys for data.

aioquic asks every stream of the connection, twice, for every packet. Here a
`Schedule` knows the few that have something to send, and a packet costs the same
beside a thousand idle streams as beside none. Two more differences:

- *No runts.* Stream data waits until the congestion window has room for a whole
  datagram, instead of filling the last hundred bytes of it with a short one.
- *Interactive bytes wait for nobody.* They go first into each packet, and when the
  pacer or the window holds everything else back, a few packets with nothing else
  may still leave (`AHEAD`).
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum, auto
from typing import Any, cast

from aioquic import tls
from aioquic.quic.connection import (
    NetworkAddress,
    QuicNetworkPath,
)
from aioquic.quic.packet import QuicPacketType
from aioquic.quic.packet_builder import (
    QuicPacketBuilder,
    QuicPacketBuilderStop,
)
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream

from edgetainer.quic.acks import AckPolicy
from edgetainer.quic.announcing import Announcing
from edgetainer.quic.schedule import Priority
from edgetainer.quic.stream_state import Stream

AHEAD = 4
"""Datagrams with interactive bytes, limits or resets that may leave in a round trip
although the pacer or the congestion window says no: a burst of keystrokes, and less
than half of the window that every connection may begin with (RFC 9002 section 7.2)."""

SHORTEST_ROUND_S = 0.01
"""Seconds that such a round trip lasts at least."""

RESERVE = 32 * 1024
"""Bytes of the peer's connection window that only interactive streams may use, so
that bulk which is stuck there does not stop a terminal; at most an eighth of it."""

SMALLEST_SPACE = 32
"""Bytes of a packet that must be left for one more stream's frame: in fewer the
header would take more than the data."""


class Leave(Enum):
    """What may go out at this moment."""

    ALL = auto()
    URGENT = auto()
    """Interactive bytes and frames without data, as part of `AHEAD`."""
    ACK = auto()
    """Acknowledgements, which nothing holds back (RFC 9002 section 7)."""
    NOTHING = auto()


class Writing(Announcing):
    """Fills packets; a part of `connection.Connection`."""

    _ack_policy: AckPolicy

    def __init__(self, **options: Any) -> None:
        self._ahead = float(AHEAD)
        self._ahead_at = 0.0
        self._reserve = 0
        self._frames_due = False
        self._all_sent = False
        super().__init__(**options)

    def _parse_transport_parameters(self, data: bytes, from_session_ticket: bool = False) -> None:
        super()._parse_transport_parameters(data, from_session_ticket)
        self._reserve = min(RESERVE, self._remote_max_data // 8)

    # Packets.

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """What is to be sent now; see the base class."""
        self._all_sent = False
        datagrams = super().datagrams_to_send(now)
        if self._all_sent:
            # Only now, when these packets count as in flight: the controller
            # remembers up to where its samples say little.
            limited = getattr(self._loss._cc, "on_application_limited", None)
            if limited is not None:
                limited(now)
        return datagrams

    def _write_application(
        self, builder: QuicPacketBuilder, network_path: QuicNetworkPath, now: float
    ) -> None:
        self._discard_finished()
        pair = self._cryptos[tls.Epoch.ONE_RTT]
        if not pair.send.is_valid():
            return  # There is no early data: we keep no session tickets.
        space = self._spaces[tls.Epoch.ONE_RTT]
        window = builder.max_flight_bytes
        self._frames_due = self._has_frames(network_path)
        while True:
            builder.max_flight_bytes = window
            leave = self._may_leave(builder, space, now)
            if leave is Leave.NOTHING:
                break
            if leave is Leave.URGENT:
                builder.max_flight_bytes = builder._flight_bytes + self._max_datagram_size
            builder.start_packet(QuicPacketType.ONE_RTT, pair)
            with suppress(QuicPacketBuilderStop):  # What does not fit goes into the next.
                self._fill(builder, network_path, space, leave, now)
            empty = builder.packet_is_empty
            # Now, so that what is left of the window is known.
            builder._end_packet()
            if not empty:
                self._loss._pacer.update_after_send(now=now)
            if leave is Leave.URGENT:
                self._ahead -= 1  # Even for nothing, so that this comes to an end.
            elif empty:
                break
        self._all_sent = (
            window is not None
            and window - builder._flight_bytes >= self._max_datagram_size
            and self._schedule.pick(self._credit(), self._reserve) is None
        )

    def _may_leave(self, builder: QuicPacketBuilder, space: QuicPacketSpace, now: float) -> Leave:
        has_room = (
            builder.max_flight_bytes is None
            or builder.max_flight_bytes - builder._flight_bytes >= self._max_datagram_size
        )
        pacing_at = self._loss._pacer.next_send_time(now=now)
        self._pacing_at = None
        if has_room and (pacing_at is None or self._probe_pending):
            return Leave.ALL
        if self._ahead_of_time(now) >= 1 and (
            self._frames_due
            or self._schedule.news
            or self._schedule.urgent(self._credit()) is not None
        ):
            return Leave.URGENT
        if has_room and (
            self._frames_due
            or self._schedule.news
            or self._schedule.pick(self._credit(), self._reserve) is not None
        ):
            # Without room an acknowledgement will tell when to go on.
            self._pacing_at = pacing_at
        return Leave.ACK if space.ack_at is not None and space.ack_at <= now else Leave.NOTHING

    def _ahead_of_time(self, now: float) -> float:
        """How many packets may leave before their time; refilled over a round trip."""
        if now > self._ahead_at:
            round_trip = max(self._loss._rtt_smoothed, SHORTEST_ROUND_S)
            gained = AHEAD * (now - self._ahead_at) / round_trip
            self._ahead = min(float(AHEAD), self._ahead + gained)
            self._ahead_at = now
        return self._ahead

    def _credit(self) -> int:
        """Bytes that the peer still admits on the connection."""
        return self._remote_max_data - self._remote_max_data_used

    # One packet.

    def _fill(
        self,
        builder: QuicPacketBuilder,
        network_path: QuicNetworkPath,
        space: QuicPacketSpace,
        leave: Leave,
        now: float,
    ) -> None:
        if space.ack_at is not None and (
            # Before its time beside interactive bytes, whose packet has room for it,
            # and beside the answer to a packet that came alone.
            space.ack_at <= now
            or self._ack_policy.lone
            or self._schedule.urgent(self._credit()) is not None
        ):
            self._write_ack_frame(builder=builder, space=space, now=now)
        if leave is Leave.ACK:
            return
        if self._frames_due:
            self._write_frames(builder, network_path, space, now)
            self._frames_due = False
        if self._schedule.news:
            self._write_news(builder, space)
        self._write_data(builder, space, leave)
        if space.ack_at is not None and not builder.packet_is_empty:
            # Not due yet, but where there is room it costs no packet of its own.
            self._write_ack_frame(builder=builder, space=space, now=now)

    def _write_news(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        """Limits, STOP_SENDING and RESET_STREAM of the streams that have any."""
        news = self._schedule.news
        while news:
            stream = cast(Stream, news[0])
            if not stream.is_finished:
                if stream.max_stream_data_local_sent != stream.max_stream_data_local:
                    self._write_stream_limits(builder, space, stream)
                if stream.receiver.stop_pending:
                    self._write_stop_sending_frame(builder, stream)
                if stream.sender.reset_pending:
                    self._write_reset_stream_frame(builder, stream)
            self._schedule.told()

    def _write_stream_limits(
        self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream
    ) -> None:
        # As for the connection's limit.
        receiver = stream.receiver
        highest, receiver.highest_offset = receiver.highest_offset, 0
        try:
            super()._write_stream_limits(builder, space, stream)
        finally:
            receiver.highest_offset = highest

    def _write_data(self, builder: QuicPacketBuilder, space: QuicPacketSpace, leave: Leave) -> None:
        schedule = self._schedule
        while builder.remaining_flight_space >= SMALLEST_SPACE:
            credit = self._credit()
            if leave is Leave.ALL:
                turn = schedule.pick(credit, self._reserve)
            else:
                turn = schedule.urgent(credit)
            if turn is None:
                return
            stream = cast(Stream, turn)
            if stream.priority is not Priority.INTERACTIVE:
                credit -= self._reserve
            start = builder._buffer.tell()
            self._remote_max_data_used += self._write_stream_frame(
                builder,
                space,
                stream,
                min(stream.sender.highest_offset + max(0, credit), stream.max_stream_data_remote),
            )
            written = builder._buffer.tell() - start
            if not written:
                return
            schedule.served(stream, written)
