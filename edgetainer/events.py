"""What just happened, for whoever is watching.

Services publish; the hub subscribes for its browsers. Each topic keeps its
newest events, so a browser that lost its WebSocket for a moment asks for what
came since, and is told to start afresh when that is no longer known.

Topics: ``devices`` (type ``device.updated``, data is the Device document),
``device:<id>``, ``deployments``.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twisted.logger import Logger

log = Logger()

#: Events kept per topic: a fleet of 250 devices after a restart of its server,
#: or minutes of everyday life.
REPLAY = 256

#: Topics remembered: one for each device of a large fleet.
MAX_TOPICS = 2_048

#: Events kept on all topics together, of 1 to 4 KiB in memory: some 64 MiB at
#: most. Every device has a topic that hears of each of its heartbeats, and few of
#: them are watched: full to `REPLAY` they would come to more than a GiB.
MAX_EVENTS = 16_384


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    :ivar seq: grows within a topic, also over restarts of the server; there
        may be gaps.
    :ivar ts: ISO 8601, UTC, milliseconds.
    """

    topic: str
    seq: int
    ts: str
    type: str
    data: dict[str, Any]


Callback = Callable[[Event], None]


@dataclass
class _Topic:
    #: The last number given out before the oldest event kept.
    before: int
    kept: deque[Event] = field(default_factory=deque)
    callbacks: list[Callback] = field(default_factory=list)


class Events:
    """The board on which events are pinned.

    :param now: the wall clock: an aware time in UTC.
    """

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        # Microseconds: below a million events a second the numbers of a
        # restarted server are higher than all it ever gave out, and they stay
        # below 2**53 for JavaScript.
        self._seq = int(now().timestamp() * 1_000_000)
        self._kept = 0
        # The one whose news is oldest comes first.
        self._topics: OrderedDict[str, _Topic] = OrderedDict()

    def publish(self, topic: str, type: str, data: dict[str, Any]) -> Event:
        """Tell everybody subscribed to `topic`, in the order of subscription."""
        board = self._board(topic)
        self._seq += 1
        event = Event(
            topic=topic,
            seq=self._seq,
            ts=self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            type=type,
            data=data,
        )
        if len(board.kept) == REPLAY:
            board.before = board.kept.popleft().seq
            self._kept -= 1
        board.kept.append(event)
        self._kept += 1
        self._forget_some()
        for callback in tuple(board.callbacks):
            try:
                callback(event)
            except Exception:
                # One subscriber's trouble is not the publisher's.
                log.failure("a subscriber of {topic} failed", topic=topic)
        return event

    def subscribe(self, topic: str, callback: Callback) -> Callable[[], None]:
        """Call `callback` with every event from now on; returns how to stop that."""
        board = self._board(topic)
        board.callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in board.callbacks:
                board.callbacks.remove(callback)

        return unsubscribe

    def since(self, topic: str, seq: int) -> list[Event] | None:
        """The events of `topic` after number `seq`, oldest first.

        None when they are not all known any more, or the number is not ours:
        the caller must read the present state anew.
        """
        board = self._topics.get(topic)
        if board is None or not board.before <= seq <= self._seq:
            return None
        return [event for event in board.kept if event.seq > seq]

    def _board(self, topic: str) -> _Topic:
        board = self._topics.get(topic)
        if board is None:
            board = self._topics[topic] = _Topic(before=self._seq)
            self._forget_some()
        self._topics.move_to_end(topic)
        return board

    def _forget_some(self) -> None:
        if len(self._topics) <= MAX_TOPICS and self._kept <= MAX_EVENTS:
            return
        # Watched topics stay, whatever they keep. The newest is being used.
        idle = [name for name, board in self._topics.items() if not board.callbacks]
        for name in idle[:-1]:
            if len(self._topics) <= MAX_TOPICS and self._kept <= MAX_EVENTS:
                return
            self._kept -= len(self._topics.pop(name).kept)
