"""Which streams a packet may take from, and whose turn is next.

aioquic walks each stream twice for each packet; with a thousand idle streams, or
a hundred that wait for the congestion window, that costs more than all the rest.
It is shown only those that can write something now. And it keeps those that it
served in a set, whose order is anybody's: here they go last, in the order in
which they were served, so that everyone gets a turn.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from enum import IntEnum

from aioquic.quic.stream import QuicStream


class Priority(IntEnum):
    """How urgent the bytes of a stream are; the value is RFC 9218's urgency.

    All are *incremental* in that document's sense: streams of one class share.
    """

    INTERACTIVE = 1
    """Somebody waits for each byte: terminals, commands, control. It goes first."""

    REQUEST = 3
    """Requests, their answers, and whatever nobody has classed (RFC 9218's default)."""

    BULK = 5
    """Transfers, where only the whole matters."""


class Schedule:
    """The turns of one connection's streams, from one packet to the next."""

    def __init__(self) -> None:
        self._served: dict[QuicStream, None] = {}

    def choose(
        self, queue: Iterable[QuicStream], room: int | None
    ) -> tuple[list[QuicStream], list[QuicStream]]:
        """Divide the queue into those to show and the others, each in its order.

        :param room: bytes that congestion control admits now; None for no limit.
        """
        shown: list[QuicStream] = []
        others: list[QuicStream] = []
        for stream in queue:
            if has_news(stream):
                shown.append(stream)
            elif stream.sender.buffer_is_empty or (room is not None and room <= 0):
                others.append(stream)
            else:
                shown.append(stream)
                if room is not None:
                    room -= sendable(stream)
        return shown, others

    def served(self, stream: QuicStream) -> None:
        """Bytes of the stream went into the packet."""
        self._served.pop(stream, None)
        self._served[stream] = None

    def next_queue(
        self, left: Iterable[QuicStream], others: list[QuicStream], kept: Container[int]
    ) -> list[QuicStream]:
        """The queue for the next packet: those that were not shown, not served, served.

        :param left: what is left of the queue of those that were shown.
        :param kept: ids of the streams that still exist.
        """
        served, self._served = self._served, {}
        waiting = [stream for stream in left if stream not in served]
        return others + waiting + [stream for stream in served if stream.stream_id in kept]


def unsent(stream: QuicStream) -> int:
    """Bytes accepted for the stream that have never been sent."""
    if stream.sender._reset_error_code is not None:
        return 0
    return stream.sender._buffer_stop - stream.sender.highest_offset


def has_news(stream: QuicStream) -> bool:
    """Whether there is more to do for the stream than to send its data."""
    return (
        stream.sender.reset_pending
        or stream.receiver.stop_pending
        or stream.max_stream_data_local != stream.max_stream_data_local_sent
        or stream.is_finished
    )


def sendable(stream: QuicStream) -> int:
    """At least this many bytes of the stream may be sent under its own limit."""
    for pending in stream.sender._pending:
        return max(0, min(pending.stop, stream.max_stream_data_remote) - pending.start)
    return 0
