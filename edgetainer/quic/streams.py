"""The streams of one connection: they come to be, may go on, are given up, and end.

aioquic keeps a list of all of them and asks each, for every packet, whether it has
something to send. Here they are `stream_state.Stream`s, which tell a `Schedule`.
"""

from __future__ import annotations

from typing import Any, cast

from aioquic._buffer import Buffer
from aioquic.quic.connection import (
    QuicConnection,
    QuicReceiveContext,
    stream_is_client_initiated,
    stream_is_unidirectional,
)
from aioquic.quic.packet_builder import QuicDeliveryState
from aioquic.quic.stream import QuicStream

from edgetainer.quic.schedule import Priority
from edgetainer.quic.stream_state import Ledger, Stream


class Streams(QuicConnection):
    """Keeps the streams; a part of `connection.Connection`."""

    def __init__(self, **options: Any) -> None:
        self._ledger = Ledger()
        self._schedule = self._ledger.schedule
        self._forgotten: list[int] = []
        super().__init__(**options)

    # For whoever reads and writes.

    def priority(self, stream_id: int) -> Priority:
        """How urgent this end's bytes on the stream are."""
        stream = self._stream(stream_id)
        return Priority.REQUEST if stream is None else stream.priority

    def can_open_stream(self) -> bool:
        """Whether the peer's limit admits one more bidirectional stream at once."""
        return self._local_next_stream_id_bidi // 4 < self._remote_max_streams_bidi

    def stream_is_open(self, stream_id: int) -> bool:
        """Whether the stream's state is still kept."""
        return stream_id in self._streams

    def can_send(self, stream_id: int) -> bool:
        """Whether more bytes may be written to the stream."""
        stream = self._streams.get(stream_id)
        return (
            stream is not None
            and self._stream_can_send(stream_id)
            and not stream.sender.is_finished
            and stream.sender._buffer_fin is None
            and stream.sender._reset_error_code is None
        )

    def abandon(self, stream_id: int, error_code: int, *, reading: bool, writing: bool) -> None:
        """Give up one or both halves of a stream, whatever state it is in.

        :param error_code: for RESET_STREAM and STOP_SENDING (RFC 9000 section 3.5).
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if writing and self._stream_can_send(stream_id):
            stream.sender.reset(error_code)
        if reading and self._stream_can_receive(stream_id) and not stream.receiver.is_finished:
            stream.receiver.stop(error_code)

    def set_priority(self, stream_id: int, priority: Priority) -> None:
        """Class this end's bytes on the stream; the peer classes its own."""
        stream = self._stream(stream_id)
        if stream is not None:
            self._schedule.classify(stream, priority)

    def unsent(self, stream_id: int) -> int:
        """Bytes accepted for the stream that have never been sent."""
        stream = self._stream(stream_id)
        return 0 if stream is None else stream.sender.unsent

    @property
    def unsent_total(self) -> int:
        """Bytes accepted on all streams that have never been sent."""
        return self._ledger.unsent

    def take_forgotten(self) -> list[int]:
        """Streams that finished since the last call, both halves acknowledged."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def send_datagram_frame(self, data: bytes) -> None:
        """Not offered: nothing would bound the queue of such datagrams (RFC 9221).

        :raises RuntimeError: always.
        """
        raise RuntimeError("unreliable datagrams are not offered")

    # They come to be, can go on, and end.

    def _stream(self, stream_id: int) -> Stream | None:
        return cast("Stream | None", self._streams.get(stream_id))

    def _get_or_create_stream(self, frame_type: int, stream_id: int) -> QuicStream:
        if stream_id not in self._streams:
            super()._get_or_create_stream(frame_type, stream_id)
            self._adopt_streams()
        return self._streams[stream_id]

    def _get_or_create_stream_for_send(self, stream_id: int) -> QuicStream:
        if stream_id not in self._streams:
            super()._get_or_create_stream_for_send(stream_id)
            self._adopt_streams()
        return self._streams[stream_id]

    def _adopt_streams(self) -> None:
        """Put our own streams in the place of those that the base has just made."""
        for made in self._streams_queue:
            assert made.stream_id is not None
            stream = self._streams[made.stream_id] = Stream(
                made.stream_id,
                self._ledger,
                limit_local=made.max_stream_data_local,
                limit_remote=made.max_stream_data_remote,
                readable=not made.receiver.is_finished,
                writable=not made.sender.is_finished,
            )
            if made.is_blocked:
                stream.is_blocked = True
                uni = stream_is_unidirectional(stream.stream_id)
                blocked = self._streams_blocked_uni if uni else self._streams_blocked_bidi
                blocked[-1] = stream
        self._streams_queue.clear()

    def _unblock_streams(self, is_unidirectional: bool) -> None:
        blocked = self._streams_blocked_uni if is_unidirectional else self._streams_blocked_bidi
        before = list(blocked)
        super()._unblock_streams(is_unidirectional)
        for stream in before[: len(before) - len(blocked)]:
            self._schedule.wake(cast(Stream, stream))

    def _handle_max_stream_data_frame(
        self, context: QuicReceiveContext, frame_type: int, buf: Buffer
    ) -> None:
        start = buf.tell()
        stream_id = buf.pull_uint_var()
        buf.seek(start)
        super()._handle_max_stream_data_frame(context, frame_type, buf)
        stream = self._stream(stream_id)
        if stream is not None:
            self._schedule.wake(stream)

    def _on_max_stream_data_delivery(self, delivery: QuicDeliveryState, stream: QuicStream) -> None:
        super()._on_max_stream_data_delivery(delivery, stream)
        if delivery is not QuicDeliveryState.ACKED:
            self._schedule.tell(cast(Stream, stream))

    def _discard_finished(self) -> None:
        """Forget the streams that both ends have finished with."""
        for stream in self._ledger.take_finished():
            stream_id = stream.stream_id
            if self._streams.pop(stream_id, None) is None:
                continue
            self._forgotten.append(stream_id)
            if stream_is_client_initiated(stream_id) != self._is_client:
                self._give_back_stream(stream)

    def _give_back_stream(self, stream: Stream) -> None:
        """Let the peer open another one for it (RFC 9000 section 4.6)."""
        self._stream_limit(stream.stream_id).value += 1
