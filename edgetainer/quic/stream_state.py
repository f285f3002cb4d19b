"""The state of one stream, its two halves, and what they tell the schedule.

RFC 9000 section 3 calls them the sending and the receiving part. aioquic's own
say nothing when something becomes sendable, so each packet has to ask them all.
"""

from __future__ import annotations

from aioquic.quic import events
from aioquic.quic.connection import QuicConnectionError
from aioquic.quic.packet import QuicErrorCode, QuicStreamFrame
from aioquic.quic.packet_builder import QuicDeliveryState
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.stream import QuicStream, QuicStreamReceiver

from edgetainer.quic.codes import H3_EXCESSIVE_LOAD
from edgetainer.quic.credit import Window
from edgetainer.quic.schedule import Priority, Readiness, Schedule, Sending
from edgetainer.quic.sender import StreamSender

MAX_HOLES = 1_000
"""Holes in what a stream has received. A satellite's window of 3,000 packets has
300 when every tenth is lost; a peer that makes more makes work."""

MAX_HOLES_OF_ALL = 4_000
"""The same of all streams of a connection."""


def excessive_load(what: str) -> QuicConnectionError:
    """The error of a peer that makes us work or store too much (RFC 9114 section 8.1)."""
    # No frame type: with one it would be taken for an error of the transport.
    return QuicConnectionError(H3_EXCESSIVE_LOAD, None, what)  # type: ignore[arg-type]


class Ledger:
    """What one connection's streams share.

    :ivar unsent: bytes accepted on all of them that have never been sent.
    :ivar holes: ranges that wait, on all of them, for bytes before them.
    """

    def __init__(self) -> None:
        self.schedule = Schedule()
        self.unsent = 0
        self.holes = 0
        self._finished: list[Stream] = []

    def part_finished(self, stream: Stream) -> None:
        """One of its parts is over; perhaps it was the second."""
        if stream.is_finished:
            self._finished.append(stream)

    def take_finished(self) -> list[Stream]:
        """Streams of which both parts have finished since the last call."""
        finished, self._finished = self._finished, []
        return finished


class Sender(StreamSender):
    """The sending part."""

    def __init__(self, stream: Stream, ledger: Ledger, *, writable: bool) -> None:
        super().__init__(stream.stream_id, writable)
        self._stream = stream
        self._ledger = ledger

    @property
    def unsent(self) -> int:
        """Bytes accepted that have never been sent."""
        if self._reset_error_code is not None:
            return 0
        return self._buffer_stop - self.highest_offset

    def write(self, data: bytes, end_stream: bool = False) -> None:
        """Accept bytes, and the end of the stream; see the base class."""
        super().write(data, end_stream)
        self._ledger.unsent += len(data)
        self._ledger.schedule.wake(self._stream)

    def get_frame(self, max_size: int, max_offset: int | None = None) -> QuicStreamFrame | None:
        """Take bytes for a packet; see the base class."""
        before = self.highest_offset
        frame = super().get_frame(max_size, max_offset)
        self._ledger.unsent -= self.highest_offset - before
        return frame

    def reset(self, error_code: int) -> None:
        """Give up sending (RFC 9000 section 3.5); what was not sent is dropped."""
        unsent = self.unsent
        super().reset(error_code)
        if self.reset_pending:
            self._ledger.unsent -= unsent - self.unsent
            self._buffer.clear()
            self._ledger.schedule.tell(self._stream)

    def send_again(self, start: int, stop: int, fin: bool) -> bool:
        """Queue what is not acknowledged of a range; see the base class."""
        missing = super().send_again(start, stop, fin)
        if missing:
            self._ledger.schedule.repeat(self._stream)
        return missing

    def on_data_delivery(
        self, delivery: QuicDeliveryState, start: int, stop: int, fin: bool
    ) -> None:
        """A packet with these bytes arrived, or is thought lost."""
        super().on_data_delivery(delivery, start, stop, fin)
        if self.is_finished:
            self._ledger.part_finished(self._stream)

    def on_reset_delivery(self, delivery: QuicDeliveryState) -> None:
        """A packet with the RESET_STREAM arrived, or is thought lost."""
        super().on_reset_delivery(delivery)
        if self.reset_pending:
            self._ledger.schedule.tell(self._stream)
        if self.is_finished:
            self._ledger.part_finished(self._stream)


class Receiver(QuicStreamReceiver):
    """The receiving part.

    :ivar was_reset: whether the peer gave up sending.
    """

    def __init__(self, stream: Stream, ledger: Ledger, *, readable: bool) -> None:
        super().__init__(stream.stream_id, readable)
        self.was_reset = False
        self._stream = stream
        self._ledger = ledger

    def handle_frame(self, frame: QuicStreamFrame) -> events.StreamDataReceived | None:
        """Bytes arrived; see the base class.

        :raises QuicConnectionError: there are too many holes in what arrived.
        """
        if frame.offset != self._buffer_start or self._buffer:
            return self._handle_out_of_order(frame)
        event = super().handle_frame(frame)
        if self.is_finished:
            self._ledger.part_finished(self._stream)
        return event

    def _handle_out_of_order(self, frame: QuicStreamFrame) -> events.StreamDataReceived | None:
        before = len(self._ranges)
        event = super().handle_frame(frame)
        holes = len(self._ranges)
        self._ledger.holes += holes - before
        if holes > before and (holes > MAX_HOLES or self._ledger.holes > MAX_HOLES_OF_ALL):
            raise excessive_load("too many holes in streams")
        if self.is_finished:
            self._ledger.part_finished(self._stream)
        return event

    def handle_reset(
        self, *, final_size: int, error_code: int = QuicErrorCode.NO_ERROR
    ) -> events.StreamReset | None:
        """The peer gave up sending; see the base class."""
        event = super().handle_reset(final_size=final_size, error_code=error_code)
        if event is not None:
            self.was_reset = True
            # What came behind holes will never be read.
            self._ledger.holes -= len(self._ranges)
            self._ranges = RangeSet()
            self._ledger.part_finished(self._stream)
        return event

    def stop(self, error_code: int = QuicErrorCode.NO_ERROR) -> None:
        """Ask the peer to stop sending (RFC 9000 section 3.5)."""
        super().stop(error_code)
        self._ledger.schedule.tell(self._stream)

    def on_stop_sending_delivery(self, delivery: QuicDeliveryState) -> None:
        """A packet with the STOP_SENDING arrived, or is thought lost."""
        super().on_stop_sending_delivery(delivery)
        if self.stop_pending:
            self._ledger.schedule.tell(self._stream)


class Stream(QuicStream, Sending):
    """One stream.

    :param limit_local: bytes that the peer may send, at first.
    :param limit_remote: bytes that it admits, at first.

    :ivar window: what the peer may send, from the first byte that was taken.
    """

    sender: Sender
    receiver: Receiver
    stream_id: int

    def __init__(
        self,
        stream_id: int,
        ledger: Ledger,
        *,
        limit_local: int,
        limit_remote: int,
        readable: bool = True,
        writable: bool = True,
    ) -> None:
        # Not the base's, which would make two parts to be thrown away.
        Sending.__init__(self, Priority.REQUEST)
        self.stream_id = stream_id
        self.is_blocked = False
        self.max_stream_data_local = limit_local
        self.max_stream_data_local_sent = limit_local
        self.max_stream_data_remote = limit_remote
        self.window: Window | None = None
        self.sender = Sender(self, ledger, writable=writable)
        self.receiver = Receiver(self, ledger, readable=readable)

    def readiness(self, credit: int) -> Readiness:
        """Whether it can send under its own limit and the connection's."""
        sender = self.sender
        if sender.buffer_is_empty:
            return Readiness.NOTHING
        if self.is_blocked:
            return Readiness.STREAM_CREDIT
        pending = sender._pending
        if not len(pending):
            return Readiness.READY if sender._pending_eof else Readiness.NOTHING
        start = pending[0].start
        if start < sender.highest_offset:
            return Readiness.READY
        if start >= self.max_stream_data_remote:
            return Readiness.STREAM_CREDIT
        return Readiness.READY if credit > 0 else Readiness.CONNECTION_CREDIT
