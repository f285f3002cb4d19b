"""Interactive bytes are sent a second time before anybody knows whether they arrived.

A lost keystroke is noticed a round trip later at best: on a satellite, when its
echo should already be on the screen, and everything behind it waits with it. Bytes
for which somebody waits are few, so on a path whose round trip is long they are
copied before anything is known: once a little later, in whatever leaves at that
time, and once more along with the next bytes that somebody waits for. On a short
path the acknowledgement comes first, and there is no copy. Bulk is never copied.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from aioquic.quic.connection import END_STATES, NetworkAddress
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream

from edgetainer.quic.recovery import Recovery
from edgetainer.quic.rtt import RttEstimator
from edgetainer.quic.schedule import Priority
from edgetainer.quic.sender import StreamSender
from edgetainer.quic.streams import Streams

SHORTEST_S = 0.010
"""Seconds between the copies at least: the bursts in which radios lose are shorter."""

LONGEST_S = 0.030
"""Seconds at most: what a loss costs when the copy makes up for it, and less than
people notice."""

ROUND_TRIP_FRACTION = 1 / 12
"""Of a round trip, between the two: the longer the path, the longer its bursts."""

PEER_DELAY_S = 0.005
"""Seconds by which a peer of our kind delays acknowledging what comes singly."""

SHARE = 1 / 20
"""Of the connection's rate that copies may take."""

BURST = 8192
"""Bytes of copies at once: a terminal's screen drawn anew."""

OVERHEAD = 48
"""Bytes that a copy costs besides its own: the headers of a packet of its own."""

PROBE_BYTES = 1000
"""Bytes of interactive data that a probe repeats: what fits into one datagram."""

COPIES = 2
"""How often a piece is copied at most."""

REMEMBERED = 256
"""Pieces that are remembered after their first copy."""


@dataclass(slots=True)
class Piece:
    """Bytes of an interactive stream that left.

    :param at: when they did so last, in seconds.
    :param fin: whether the end of the stream went with them.
    """

    at: float
    sender: StreamSender
    start: int
    stop: int
    fin: bool
    copies: int = 0

    @property
    def is_missing(self) -> bool:
        """Whether some of it is not acknowledged."""
        return self.sender.is_missing(self.start, self.stop, self.fin)

    def send_again(self) -> None:
        """Queue what is not acknowledged."""
        self.sender.send_again(self.start, self.stop, self.fin)


class Copies:
    """The interactive bytes of one connection that are under way."""

    def __init__(self) -> None:
        self._once: deque[Piece] = deque()
        self._copied: deque[Piece] = deque(maxlen=REMEMBERED)
        self._budget = float(BURST)
        self._at = 0.0

    def sent(self, piece: Piece) -> None:
        """A piece left for the first time."""
        self._once.append(piece)

    def due(self, delay: float) -> float | None:
        """When the next copy should leave, if its piece is not acknowledged by then."""
        once = self._once
        while once and not once[0].is_missing:
            once.popleft()
        return once[0].at + delay if once else None

    def copy(self, now: float, *, delay: float, rate: float, riding: bool) -> None:
        """Queue the copies that are due.

        :param rate: of the connection, in bytes per second.
        :param riding: whether a packet with new interactive bytes is about to
            leave, which second copies may share.
        """
        self._budget = min(BURST, self._budget + (now - self._at) * rate * SHARE)
        self._at = now
        while (due := self.due(delay)) is not None and due <= now:
            piece = self._once.popleft()
            self._copied.append(piece)
            self._spend(piece, now, OVERHEAD)
        if riding:
            missing = [piece for piece in self._copied if piece.is_missing]
            self._copied = deque(missing, maxlen=REMEMBERED)
            for piece in missing:
                if piece.copies < COPIES and piece.at + delay <= now:
                    self._spend(piece, now, 0)

    def _spend(self, piece: Piece, now: float, overhead: int) -> None:
        cost = piece.stop - piece.start + overhead
        if cost <= self._budget:
            self._budget -= cost
            piece.at = now
            piece.copies += 1
            piece.send_again()

    def probe(self) -> None:
        """Queue the newest pieces that are not acknowledged (RFC 9002 section 6.2.4)."""
        self._copied.extend(self._once)
        self._once.clear()
        missing = [piece for piece in self._copied if piece.is_missing]
        self._copied = deque(missing, maxlen=REMEMBERED)
        room = PROBE_BYTES
        for piece in reversed(missing):
            room -= piece.stop - piece.start
            if room < 0:
                break
            piece.send_again()


def copy_delay(rtt: RttEstimator) -> float:
    """Seconds after which a piece is copied."""
    answered = rtt.timeout + PEER_DELAY_S
    if answered <= LONGEST_S:
        return max(answered, SHORTEST_S)
    return min(max(rtt.expected * ROUND_TRIP_FRACTION, SHORTEST_S), LONGEST_S)


class Copying(Streams):
    """Sends interactive bytes twice; a part of `connection.Connection`."""

    _loss: Recovery

    def __init__(self, **options: Any) -> None:
        self._copies = Copies()
        self._sending_at = 0.0
        self._riding = False
        super().__init__(**options)

    def get_timer(self) -> float | None:
        """When `handle_timer` is to be called; see the base class."""
        at = super().get_timer()
        if self._state in END_STATES:
            return at
        due = self._copies.due(copy_delay(self._loss.rtt))
        return due if due is not None and (at is None or due < at) else at

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """What is to be sent now; see the base class."""
        self._sending_at = now
        recovery = self._loss
        rate = recovery.congestion_window / max(recovery.rtt.expected, 1e-3)
        self._copies.copy(now, delay=copy_delay(recovery.rtt), rate=rate, riding=self._riding)
        self._riding = False
        return super().datagrams_to_send(now)

    def send_stream_data(self, stream_id: int, data: bytes, end_stream: bool = False) -> None:
        """Queue bytes for a stream; see the base class."""
        super().send_stream_data(stream_id, data, end_stream)
        self._riding = self._riding or self.priority(stream_id) is Priority.INTERACTIVE

    def _write_stream_frame(
        self,
        builder: QuicPacketBuilder,
        space: QuicPacketSpace,
        stream: QuicStream,
        max_offset: int,
    ) -> int:
        sender = stream.sender
        start, ending = sender.highest_offset, sender._pending_eof
        used = super()._write_stream_frame(builder, space, stream, max_offset)
        stop, fin = sender.highest_offset, ending and not sender._pending_eof
        if (
            (stop > start or fin)
            and isinstance(sender, StreamSender)
            and stream.stream_id is not None
            and self.priority(stream.stream_id) is Priority.INTERACTIVE
        ):
            self._copies.sent(Piece(self._sending_at, sender, start, stop, fin))
        return used
