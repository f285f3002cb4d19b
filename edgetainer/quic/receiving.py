"""What a peer's frames may cost.

Flow control bounds the bytes that a peer makes us keep, and the limits on streams
how many of these. Beside them there are frames that carry nothing and cost a
microsecond or ten all the same, some in memory too: a few bytes each, hundreds in a
packet. Each connection has an allowance of such frames, ample for every honest
peer, and is closed when it is used up:

- frames that ask for an answer or for work: PING, PATH_CHALLENGE, NEW_CONNECTION_ID,
  RETIRE_CONNECTION_ID, CRYPTO after the handshake (CVE-2023-49295, CVE-2024-22189);
- frames that change nothing: limits that are no higher, blocked announcements,
  resets of what is reset, empty STREAM frames, unasked-for datagrams;
- more STREAM frames in one packet than anything that sends sensibly puts there.

Streams that the peer opens and resets at once are made good to it only so fast
(CVE-2023-44487 was HTTP/2's form of it).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from aioquic._buffer import Buffer
from aioquic.quic.connection import (
    NetworkAddress,
    QuicConnectionError,
    QuicConnectionId,
    QuicReceiveContext,
)
from aioquic.quic.events import QuicEvent, StreamDataReceived
from aioquic.quic.packet import QuicErrorCode
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.stream import QuicStream, StreamFinishedError
from aioquic.tls import Epoch

from edgetainer.quic.allowance import Allowance
from edgetainer.quic.stream_state import Stream, excessive_load
from edgetainer.quic.writing import Writing

MAX_CRYPTO = 64 * 1024
"""Bytes of the handshake at one level: a chain of client certificates is under ten
thousand. aioquic admits half a mebibyte at a time, without an end."""

LATER_CRYPTO = 512
"""Bytes that TLS may answer at once after the handshake; there are no tickets."""

IDLE_FRAMES = 2_000
"""Frames without use that may come at once. After an outage a thousand streams may
be reset twice."""

IDLE_FRAMES_RATE = 200.0
"""Frames a second that are forgiven: some pings, probes and repetitions in each
packet of a slow link, or in one of ten packets of a fast one."""

FRAMES_PER_PACKET = 32
"""STREAM frames of a packet that bring a piece of a stream and are free. A sender puts
what it has of a stream into one; who has little on each of so many is rare."""

RESETS = 1_000
"""Streams that a peer may open and reset at once."""

RESETS_RATE = 100.0
"""Streams a second that it may open and reset from then on."""

SHORT_FRAME = 16
"""Bytes of a STREAM frame without its type, below which one that brings nothing is
charged. Longer ones cost their sender enough."""

FrameHandler = Callable[[QuicReceiveContext, int, Buffer], None]

CHARGED = (
    0x01,  # PING
    0x06,  # CRYPTO
    0x07,  # NEW_TOKEN
    0x14,  # DATA_BLOCKED
    0x15,  # STREAM_DATA_BLOCKED
    0x16,  # STREAMS_BLOCKED
    0x17,
    0x18,  # NEW_CONNECTION_ID
    0x19,  # RETIRE_CONNECTION_ID
    0x1A,  # PATH_CHALLENGE
    0x1B,  # PATH_RESPONSE
    0x1E,  # HANDSHAKE_DONE
)
"""Types of frames that are always charged (RFC 9000 section 19)."""


class Receiving(Writing):
    """Bounds what frames cost; a part of `connection.Connection`."""

    last_received: float | None

    def __init__(self, **options: Any) -> None:
        self._idle_frames = Allowance(IDLE_FRAMES, IDLE_FRAMES_RATE)
        self._resets = Allowance(RESETS, RESETS_RATE)
        self._withheld = 0
        self._newest_id_sent = 0
        super().__init__(**options)
        handlers = self._QuicConnection__frame_handlers  # type: ignore[attr-defined]
        for frame_type, (handler, epochs) in handlers.items():
            if frame_type in CHARGED:
                handler = _Charged(self, handler)
            # Equal sets of epochs are one object: they took 7 KB of each connection.
            handlers[frame_type] = (handler, _EPOCHS.setdefault(epochs, epochs))

    def charge(self, now: float, count: int = 1) -> None:
        """Frames without use came.

        :raises QuicConnectionError: there were too many of them.
        """
        if not self._idle_frames.take(now, count):
            raise excessive_load("too many frames without use")

    # Overridden.

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """What is to be sent now; see the base class."""
        while self._withheld and self._resets.take(now):
            self._local_max_streams_bidi.value += 1
            self._withheld -= 1
        return super().datagrams_to_send(now)

    def _give_back_stream(self, stream: Stream) -> None:
        now = self.last_received or 0.0
        if stream.receiver.was_reset and not self._resets.take(now):
            self._withheld += 1
        else:
            super()._give_back_stream(stream)

    def _get_or_create_stream(self, frame_type: int, stream_id: int) -> QuicStream:
        try:
            return super()._get_or_create_stream(frame_type, stream_id)
        except StreamFinishedError:
            self.charge(self.last_received or 0.0)
            raise

    def _payload_received(
        self, context: QuicReceiveContext, plain: bytes, crypto_frame_required: bool = False
    ) -> tuple[bool, bool]:
        before = len(self._events)
        result = super()._payload_received(context, plain, crypto_frame_required)
        if len(self._events) - before > FRAMES_PER_PACKET:
            pieces = sum(map(_is_piece, islice(self._events, before, None)))
            self.charge(context.time, max(0, pieces - FRAMES_PER_PACKET))
        return result

    def _handle_crypto_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        start = buf.tell()
        end = buf.pull_uint_var() + buf.pull_uint_var()
        buf.seek(start)
        # All of it: TLS keeps a message until it is whole, however long it says it is.
        if end > MAX_CRYPTO:
            raise QuicConnectionError(
                QuicErrorCode.CRYPTO_BUFFER_EXCEEDED, frame_type, "too long a handshake"
            )
        super()._handle_crypto_frame(context, frame_type, buf)

    def _confirm_handshake(self) -> None:
        super()._confirm_handshake()
        # What TLS writes into: 16 KiB at each of three levels, and nothing more comes.
        self._crypto_buffers = {
            epoch: Buffer(capacity=LATER_CRYPTO) for epoch in self._crypto_buffers
        }

    def _handle_datagram_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        # WebTransport has us offer them (RFC 9221); nothing here reads any.
        super()._handle_datagram_frame(context, frame_type, buf)
        self._events.pop()
        self.charge(context.time)

    def _handle_max_data_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        before = self._remote_max_data
        super()._handle_max_data_frame(context, frame_type, buf)
        if self._remote_max_data == before:
            self.charge(context.time)

    def _handle_max_stream_data_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        stream = self._streams.get(_peek(buf))
        before = None if stream is None else stream.max_stream_data_remote
        super()._handle_max_stream_data_frame(context, frame_type, buf)
        if stream is None or stream.max_stream_data_remote == before:
            self.charge(context.time)

    def _handle_max_streams_bidi_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        before = self._remote_max_streams_bidi
        super()._handle_max_streams_bidi_frame(context, frame_type, buf)
        if self._remote_max_streams_bidi == before:
            self.charge(context.time)

    def _handle_max_streams_uni_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        before = self._remote_max_streams_uni
        super()._handle_max_streams_uni_frame(context, frame_type, buf)
        if self._remote_max_streams_uni == before:
            self.charge(context.time)

    def _handle_reset_stream_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        stream = self._streams.get(_peek(buf))
        finished = stream is not None and stream.receiver.is_finished
        super()._handle_reset_stream_frame(context, frame_type, buf)
        if finished:
            self.charge(context.time)

    def _handle_stop_sending_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        stream = self._streams.get(_peek(buf))
        stopped = stream is not None and (
            stream.sender.is_finished or stream.sender._reset_error_code is not None
        )
        super()._handle_stop_sending_frame(context, frame_type, buf)
        if stopped:
            self.charge(context.time)

    def _handle_stream_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        start, before = buf.tell(), len(self._events)
        super()._handle_stream_frame(context, frame_type, buf)
        if buf.tell() - start < SHORT_FRAME and len(self._events) == before:
            self.charge(context.time)

    def _handle_retire_connection_id_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        if _peek(buf) > self._newest_id_sent:
            # aioquic knows ids that it has not sent yet, and would make new ones.
            raise QuicConnectionError(
                QuicErrorCode.PROTOCOL_VIOLATION, frame_type, "the connection id was never issued"
            )
        super()._handle_retire_connection_id_frame(context, frame_type, buf)

    def _write_new_connection_id_frame(
        self, builder: QuicPacketBuilder, connection_id: QuicConnectionId
    ) -> None:
        super()._write_new_connection_id_frame(builder, connection_id)
        self._newest_id_sent = max(self._newest_id_sent, connection_id.sequence_number)


class _Charged:
    """A handler of frames that are always charged."""

    __slots__ = ("_connection", "_handler")

    def __init__(self, connection: Receiving, handler: FrameHandler) -> None:
        self._connection = connection
        self._handler = handler

    def __call__(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        self._connection.charge(context.time)
        self._handler(context, frame_type, buf)


_EPOCHS: dict[frozenset[Epoch], frozenset[Epoch]] = {}


def _is_piece(event: QuicEvent) -> bool:
    """Whether it brings bytes of a stream that goes on."""
    return isinstance(event, StreamDataReceived) and not event.end_stream


def _peek(buf: Buffer) -> int:
    """The next number of a frame, which stays there."""
    start = buf.tell()
    number = buf.pull_uint_var()
    buf.seek(start)
    return number
