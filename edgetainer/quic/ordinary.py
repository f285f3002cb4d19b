"""The short way of a packet in: what nearly all of them need, and nothing else.

aioquic's `receive_datagram` is written for every kind of packet and every moment of
a connection. Once the handshake is done nearly all packets are alike: a short
header, the current connection id, the current path. They are taken here, in the same
order of steps (RFC 9000 sections 12 and 13); whatever is out of the ordinary goes
to the base.
"""

from __future__ import annotations

from aioquic import tls
from aioquic._crypto import CryptoError
from aioquic.quic import events
from aioquic.quic.connection import (
    END_STATES,
    NetworkAddress,
    QuicConnection,
    QuicConnectionError,
    QuicConnectionState,
    QuicReceiveContext,
)
from aioquic.quic.recovery import MAX_ACK_RANGES

# Every step of a packet looks something up by its epoch. Members are equal only to
# themselves; Enum's own hash, written in Python, took 5 % of the time of a packet.
tls.Epoch.__hash__ = object.__hash__  # type: ignore[method-assign]

LONG_HEADER = b"\x80"
RESERVED_BITS = 0x18
SPIN_BIT = 0x20

JOIN_MAX = 64 * 1024
"""Bytes that one event brings at most, unless one packet brought more: a reader may
pause after each."""


class Ordinary(QuicConnection):
    """Takes ordinary packets quickly; a part of `connection.Connection`."""

    def receive_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """Take one datagram; see the base class."""
        if not self._receive_ordinary(data, addr, now):
            super().receive_datagram(data, addr, now)

    def _receive_ordinary(self, data: bytes, addr: NetworkAddress, now: float) -> bool:
        """Take a packet of the current path; False, and nothing done, if it is not one."""
        cid = self.host_cid
        if (
            self._state is not QuicConnectionState.CONNECTED
            or self._quic_logger is not None
            or data[:1] >= LONG_HEADER
            or data[1 : 1 + len(cid)] != cid
            or self._peer_cid.sequence_number is None
            or all(known.cid != cid for known in self._host_cids)
        ):
            return False
        path = self._network_paths[0]
        if path.addr != addr or not path.is_validated:
            return False
        space = self._spaces[tls.Epoch.ONE_RTT]
        try:
            header, payload, number = self._cryptos[tls.Epoch.ONE_RTT].decrypt_packet(
                data, 1 + len(cid), space.expected_packet_number
            )
        except CryptoError:
            return True  # Forged, or so early that there is no key: dropped.
        if header[0] & RESERVED_BITS or number in space.received_packets:
            return False

        if number > space.expected_packet_number:
            space.expected_packet_number = number + 1
        if number > self._spin_highest_pn:
            self._spin_bit = bool(header[0] & SPIN_BIT) is not self._is_client
            self._spin_highest_pn = number
        context = QuicReceiveContext(
            epoch=tls.Epoch.ONE_RTT,
            host_cid=cid,
            network_path=path,
            quic_logger_frames=None,
            time=now,
            version=None,
        )
        asks = False
        try:
            asks, _ = self._payload_received(context, payload)
        except QuicConnectionError as error:
            self.close(
                error_code=error.error_code,
                frame_type=error.frame_type,
                reason_phrase=error.reason_phrase,
            )
        if self._state in END_STATES or self._close_pending:
            return True
        self._close_at = now + self._idle_timeout()
        self._ack_eliciting_sent_since_receipt = False

        if number > space.largest_received_packet:
            space.largest_received_packet = number
            space.largest_received_time = now
        space.ack_queue.add(number)
        space.received_packets.add(number)
        if len(space.ack_queue) > MAX_ACK_RANGES:
            space.ack_queue.shift()
        if asks and space.ack_at is None:
            space.ack_at = now + self._ack_delay
        return True

    def next_event(self) -> events.QuicEvent | None:
        """The next event, or None; what came on one stream in a row comes as one."""
        queue = self._events
        if not queue:
            return None
        event = queue.popleft()
        if not isinstance(event, events.StreamDataReceived) or event.end_stream:
            return event
        pieces, total = [event.data], len(event.data)
        while queue and total < JOIN_MAX:
            following = queue[0]
            if (
                not isinstance(following, events.StreamDataReceived)
                or following.stream_id != event.stream_id
            ):
                break
            queue.popleft()
            pieces.append(following.data)
            total += len(following.data)
            if following.end_stream:
                event.end_stream = True
                break
        if len(pieces) > 1:
            event.data = b"".join(pieces)
        return event
