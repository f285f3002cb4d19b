"""Whose turn it is: which stream the next bytes of a packet are taken from.

Only streams that wait to send are known here, so that idle ones cost nothing:
`wake` puts a stream into its class's ring, and whoever finds it with nothing to
send takes it out. Every step is O(1), amortised.

- Interactive streams go first. While others wait, these get a byte for each nine,
  so that a terminal full of output leaves them a tenth.
- The other classes share by weight, in bytes: a surplus round robin, which lets
  a turn be overdrawn by the frame that ends it and takes that from the next.
- Streams of one class share equally, by the same rule. One that begins to send
  goes before those that have been sending (RFC 8290 section 4.1): answers
  to short requests pass long transfers.

A stream that its own flow control stops leaves the ring until its credit comes.
One that the connection's stops waits aside, in order, until there is some.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from enum import Enum, IntEnum, auto

QUANTUM = 1_500
"""Bytes of one turn: about a datagram, so that a turn fills a packet."""

INTERACTIVE_SHARE = 9
"""Bytes that interactive streams may send for each byte of the others that wait."""


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


WEIGHTS = {Priority.REQUEST: 2, Priority.BULK: 1}
"""How the classes behind the interactive one share what it leaves them."""


class Readiness(Enum):
    """What stands between a stream and its next byte."""

    READY = auto()
    NOTHING = auto()
    """It has nothing to send."""
    STREAM_CREDIT = auto()
    """The peer admits no more on this stream (RFC 9000 section 4.1)."""
    CONNECTION_CREDIT = auto()
    """The peer admits no more on the connection."""


class Place(Enum):
    """Where a stream is in its ring."""

    OUT = auto()
    IN = auto()
    ASIDE = auto()


class Sending:
    """What the schedule keeps of a stream; streams inherit it.

    :ivar priority: its class; `Schedule.classify` changes it.
    :ivar has_news: whether it is in the list of those with frames besides data.
    """

    def __init__(self, priority: Priority) -> None:
        self.priority = priority
        self.place = Place.OUT
        self.surplus = 0
        self.has_news = False

    def readiness(self, credit: int) -> Readiness:
        """Whether it can send under its own limit and the connection's.

        :param credit: bytes that the peer still admits on the connection.
        """
        raise NotImplementedError


Queue = OrderedDict[Sending, None]
"""Streams in the order of their turns."""


class Ring:
    """The streams of one class that wait to send."""

    def __init__(self, weight: int = 1) -> None:
        self.weight = weight
        self.surplus = 0
        # Not deques, which take 600 bytes each when they are empty.
        self._fresh: Queue = OrderedDict()
        self._rotation: Queue = OrderedDict()
        self._aside: Queue = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._fresh or self._rotation or self._aside)

    def enter(self, stream: Sending) -> None:
        """A stream that was out of the ring may have something to send."""
        stream.place = Place.IN
        stream.surplus = QUANTUM
        self._fresh[stream] = None

    def come_back(self, stream: Sending) -> None:
        """One that waited aside can go on without new credit: it repeats lost bytes."""
        del self._aside[stream]
        stream.place = Place.IN
        self._rotation[stream] = None

    def remove(self, stream: Sending) -> None:
        """Take a stream out, wherever it is."""
        for queue in (self._fresh, self._rotation, self._aside):
            queue.pop(stream, None)
        stream.place = Place.OUT

    def pick(self, credit: int) -> Sending | None:
        """Whose turn it is; it stays so until its turn is used up.

        :param credit: bytes that the peer still admits on the connection.
        """
        while True:
            queue = self._fresh or self._rotation
            if not queue:
                if credit <= 0 or not self._aside:
                    return None
                self._resume_one()
                continue
            stream = next(iter(queue))
            match stream.readiness(credit):
                case Readiness.READY if stream.surplus > 0:
                    return stream
                case Readiness.READY:
                    stream.surplus += QUANTUM
                    del queue[stream]
                    self._rotation[stream] = None
                    if credit > 0 and self._aside:
                        self._resume_one()
                case Readiness.CONNECTION_CREDIT:
                    del queue[stream]
                    self._aside[stream] = None
                    stream.place = Place.ASIDE
                case Readiness.NOTHING if queue is self._fresh:
                    # It waits for its turn among the others before it counts as
                    # new again: else many small writes would pass them for ever.
                    del queue[stream]
                    self._rotation[stream] = None
                case _:
                    del queue[stream]
                    stream.place = Place.OUT

    def _resume_one(self) -> None:
        stream, _ = self._aside.popitem(last=False)
        stream.place = Place.IN
        self._rotation[stream] = None
        self._rotation.move_to_end(stream, last=False)


class Schedule:
    """The turns of one connection's streams.

    :ivar news: streams with frames besides data (resets, limits, their end).
    """

    def __init__(self) -> None:
        self.news: deque[Sending] = deque()
        self._urgent = Ring()
        self._shared = deque(Ring(weight) for weight in WEIGHTS.values())
        self._rings = {Priority.INTERACTIVE: self._urgent}
        self._rings |= zip(WEIGHTS, self._shared, strict=True)
        # Bytes that interactive streams sent while others waited, less their
        # multiple of what the others had.
        self._ahead = 0

    def wake(self, stream: Sending) -> None:
        """It has something to send, or may send more than before."""
        if stream.place is Place.OUT:
            self._rings[stream.priority].enter(stream)

    def repeat(self, stream: Sending) -> None:
        """It has something to send again, for which no new credit is needed."""
        if stream.place is Place.ASIDE:
            self._rings[stream.priority].come_back(stream)
        else:
            self.wake(stream)

    def tell(self, stream: Sending) -> None:
        """It has other frames to send, or it is finished."""
        if not stream.has_news:
            stream.has_news = True
            self.news.append(stream)

    def told(self) -> None:
        """The first of `news` was dealt with."""
        self.news.popleft().has_news = False

    def classify(self, stream: Sending, priority: Priority) -> None:
        """Put it into another class."""
        if stream.priority is not priority:
            waiting = stream.place is not Place.OUT
            if waiting:
                self._rings[stream.priority].remove(stream)
            stream.priority = priority
            if waiting:
                self._rings[priority].enter(stream)

    def urgent(self, credit: int) -> Sending | None:
        """The interactive stream whose turn it is, if one can send."""
        return self._urgent.pick(credit)

    def pick(self, credit: int, reserve: int) -> Sending | None:
        """Whose turn it is, of all that can send.

        :param credit: bytes that the peer still admits on the connection.
        :param reserve: how many of these are for interactive streams only.
        """
        urgent = self._urgent.pick(credit)
        if urgent is not None and self._ahead < INTERACTIVE_SHARE * QUANTUM:
            return urgent
        other = self._pick_shared(credit - reserve)
        if other is None:
            self._ahead = 0
            return urgent
        return other

    def served(self, stream: Sending, count: int) -> None:
        """So many bytes of the stream went into a packet."""
        stream.surplus -= count
        if stream.priority is not Priority.INTERACTIVE:
            self._rings[stream.priority].surplus -= count
            self._ahead = max(0, self._ahead - INTERACTIVE_SHARE * count)
        elif any(self._shared):
            self._ahead += count

    def _pick_shared(self, credit: int) -> Sending | None:
        empty = 0
        while empty < len(self._shared):
            ring = self._shared[0]
            stream = ring.pick(credit)
            if stream is None:
                ring.surplus = 0
                empty += 1
            elif ring.surplus > 0:
                return stream
            else:
                ring.surplus += ring.weight * QUANTUM
                empty = 0
            self._shared.rotate(-1)
        return None
