"""Receive credit follows consumption, and the peer may open so many streams.

aioquic grants credit when bytes arrive. Here whoever is handed bytes by `next_event`
calls `consume` for each of them, exactly once, when the reader took them; `credit`
says how much that grants, `budget` what all connections may have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aioquic.quic import events

from edgetainer.quic.budget import PROCESS, Budget
from edgetainer.quic.credit import (
    CONNECTION_WINDOW,
    HELD_MAX,
    STREAM_WINDOW,
    WINDOW_MAX,
    Window,
)
from edgetainer.quic.recovery import Recovery
from edgetainer.quic.streams import Streams

MAX_UNI_STREAMS = 16
"""HTTP/3 needs three (control and QPACK); the rest is for unknown kinds, which
a peer may open and we ignore (RFC 9114 section 6.2)."""


@dataclass(frozen=True)
class Limits:
    """What one connection may cost; bytes unless said otherwise.

    :param peer_streams: bidirectional streams that the peer may hold open.
    :param budget: what windows grow from, shared with other connections.
    """

    stream_window: int = STREAM_WINDOW
    stream_window_max: int = WINDOW_MAX
    connection_window: int = CONNECTION_WINDOW
    connection_window_max: int = WINDOW_MAX
    held_max: int = HELD_MAX
    peer_streams: int = 256
    budget: Budget = PROCESS


class Crediting(Streams):
    """Grants credit for what was consumed; a part of `connection.Connection`."""

    last_received: float | None
    _loss: Recovery

    def __init__(self, *, limits: Limits, **options: Any) -> None:
        super().__init__(**options)
        self._limits = limits
        self._held = self._lent = 0
        self._share = limits.budget.share()
        self._window = Window(limits.connection_window, limits.connection_window_max, self._share)
        self._local_max_data.value = self._local_max_data.sent = limits.connection_window
        self._local_max_stream_data_bidi_local = limits.stream_window
        self._local_max_stream_data_bidi_remote = limits.stream_window
        self._local_max_stream_data_uni = limits.stream_window
        self._local_max_streams_bidi.value = limits.peer_streams
        self._local_max_streams_bidi.sent = limits.peer_streams
        self._local_max_streams_uni.value = MAX_UNI_STREAMS
        self._local_max_streams_uni.sent = MAX_UNI_STREAMS

    @property
    def rtt(self) -> float:
        """Smoothed round-trip time in seconds; the configured guess before the first."""
        return self._loss.rtt.smoothed or self._loss.rtt.initial

    def consume(self, stream_id: int, count: int, *, now: float) -> None:
        """Grant credit for `count` bytes that a reader took.

        :param stream_id: the stream they came on; it may be finished already.
        :param now: seconds on the clock that drives the connection.
        """
        stream = self._stream(stream_id)
        if stream is not None and not stream.receiver.is_finished:
            if stream.window is None:
                stream.window = Window(self._limits.stream_window, self._limits.stream_window_max)
            limit = stream.window.consume(count, now=now, rtt=self.rtt)
            if limit != stream.max_stream_data_local:
                stream.max_stream_data_local = limit
                self._schedule.tell(stream)
        self._consume_connection(count, now=now)

    def hold(self, count: int, *, now: float) -> None:
        """Note that `count` bytes wait for a paused reader; negative when it took them.

        A stream's own window bounds them, so up to `Limits.held_max`, and while the
        budget lasts, they do not count against the connection's window: one stalled
        reader must not stall the others.
        """
        self._held += count
        lent = min(self._held, self._limits.held_max)
        if lent < self._lent:
            self._share.give_back(self._lent - lent)
            self._lent = lent
        elif self._share.take(lent - self._lent):
            self._lent = lent
        if count > 0:
            self._consume_connection(0, now=now)

    def _consume_connection(self, count: int, *, now: float) -> None:
        self._local_max_data.value = self._window.consume(
            count, held=self._lent, now=now, rtt=self.rtt
        )

    def release(self) -> None:
        """The connection is over: give back what it had of the budget."""
        self._share.close()

    def buffered(self) -> int:
        """Bytes that this end keeps in the buffers of its streams, both directions."""
        return sum(
            len(stream.receiver._buffer) + len(stream.sender._buffer)
            for stream in self._streams.values()
        )

    # Overridden.

    def next_event(self) -> events.QuicEvent | None:
        """The next event, or None; see the base class."""
        event = super().next_event()
        if isinstance(event, events.StreamReset):
            stream = self._streams.get(event.stream_id)
            if stream is not None:
                # What never arrived in order is never handed out, so nobody will
                # consume it; its share of the connection's window comes back here.
                receiver = stream.receiver
                missing = receiver.highest_offset - receiver.starting_offset()
                receiver._buffer.clear()
                self._consume_connection(missing, now=self.last_received or 0.0)
        return event
