"""What one client of the hub is told, and how often.

A `Feed` stands between the board of `events` and one client. Changes of one
thing that come faster than people can look are told once, with the newest; a
client that does not read is told nothing until it does, and to start afresh if
too much has happened meanwhile. So a slow client costs a bounded amount and
delays nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.events import Event, Events

#: Seconds between two batches of one topic: twice a second is as live as a
#: person can follow.
INTERVAL_S = 0.5
#: Changes of different things waiting in one topic; beyond it the client reads
#: the present state anew, which costs it one request.
MOST_PENDING = 512
#: Topics of one client. A browser's page has about 5.
MOST_TOPICS = 64

_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# Topic -> the right that reading it takes.
_TOPICS = (
    (re.compile("devices"), "devices.read"),
    (re.compile(f"device:{_ID}"), "devices.read"),
    (re.compile("deployments"), "deployments.read"),
)


def check_topic(principal: Principal, topic: object) -> str:
    """The topic, if it is one and `principal` may read it.

    :raises EdgetainerError: ``invalid_field``, ``not_found`` or ``forbidden``.
    """
    if not isinstance(topic, str):
        raise EdgetainerError("invalid_field", "A topic is a text.", field="topic")
    for pattern, action in _TOPICS:
        if pattern.fullmatch(topic):
            demand(principal, action)
            return topic
    raise EdgetainerError("not_found", f"There is no topic {topic[:80]!r}.", field="topic")


class Feed:
    """The subscriptions of one client.

    :param send: sends one message, a JSON object.
    """

    def __init__(
        self, *, events: Events, clock: IReactorTime, send: Callable[[dict[str, Any]], None]
    ) -> None:
        self._events = events
        self._clock = clock
        self._send = send
        self._topics: dict[str, _Topic] = {}
        self._paused = False

    def subscribe(self, principal: Principal, topic: object, since: object = None) -> None:
        """Tell of `topic` from now on, or from after the event numbered `since`.

        :raises EdgetainerError: as `check_topic`, or ``invalid_field``.
        """
        name = check_topic(principal, topic)
        if since is not None and (not isinstance(since, int) or isinstance(since, bool)):
            raise EdgetainerError("invalid_field", "since is a number.", field="since")
        if name not in self._topics and len(self._topics) >= MOST_TOPICS:
            raise EdgetainerError("invalid_request", f"At most {MOST_TOPICS} topics at a time.")
        self.unsubscribe(name)
        subscription = self._topics[name] = _Topic(self, name)
        subscription.start(since)

    def unsubscribe(self, topic: object) -> None:
        """Tell no more of it."""
        subscription = self._topics.pop(topic, None) if isinstance(topic, str) else None
        if subscription is not None:
            subscription.stop()

    def recheck(self, principal: Principal) -> None:
        """Drop the topics that `principal` may not read any more."""
        for name in tuple(self._topics):
            try:
                check_topic(principal, name)
            except EdgetainerError as error:
                self.unsubscribe(name)
                self._send({"type": "error", "topic": name, **_told(error)})

    def pause(self) -> None:
        """The client does not read."""
        self._paused = True

    def resume(self) -> None:
        """The client reads again."""
        self._paused = False
        for subscription in tuple(self._topics.values()):
            subscription.flush_when_due()

    def close(self) -> None:
        """The client is gone."""
        for name in tuple(self._topics):
            self.unsubscribe(name)


class _Topic:
    """One subscription: what waits, and when it may go."""

    def __init__(self, feed: Feed, name: str) -> None:
        self._feed = feed
        self._name = name
        self._pending: dict[object, Event] = {}
        self._resync = False
        self._sent_at = float("-inf")
        self._timer: IDelayedCall | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self, since: int | None) -> None:
        # Subscribed first: nothing can happen between the past and now.
        self._unsubscribe = self._feed._events.subscribe(self._name, self._happened)
        if since is None:
            return
        past = self._feed._events.since(self._name, since)
        if past is None:
            self._resync = True
        else:
            for event in past:
                self._keep(event)
        self.flush_when_due()

    def stop(self) -> None:
        self._unsubscribe()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def flush_when_due(self) -> None:
        if self._feed._paused or self._timer is not None:
            return
        if not self._pending and not self._resync:
            return
        wait = self._sent_at + INTERVAL_S - self._feed._clock.seconds()
        if wait > 0:
            self._timer = self._feed._clock.callLater(wait, self._due)
        else:
            self._flush()

    def _happened(self, event: Event) -> None:
        self._keep(event)
        self.flush_when_due()

    def _keep(self, event: Event) -> None:
        if self._resync:
            return  # the client will read everything anew, this too
        identity = event.data.get("id", event.data.get("device_id", event.seq))
        key = (event.type, identity if isinstance(identity, str | int) else event.seq)
        # The newest goes last, so that numbers keep growing.
        self._pending.pop(key, None)
        self._pending[key] = event
        if len(self._pending) > MOST_PENDING:
            self._pending.clear()
            self._resync = True

    def _due(self) -> None:
        self._timer = None
        self.flush_when_due()

    def _flush(self) -> None:
        self._sent_at = self._feed._clock.seconds()
        pending, self._pending = self._pending, {}
        if self._resync:
            self._resync = False
            self._feed._send({"type": "resync", "topic": self._name})
        for event in pending.values():
            self._feed._send(
                {
                    "topic": event.topic,
                    "seq": event.seq,
                    "ts": event.ts,
                    "type": event.type,
                    "data": event.data,
                }
            )


def _told(error: EdgetainerError) -> dict[str, str]:
    return {"code": error.code, "detail": error.detail}
