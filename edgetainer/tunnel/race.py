"""Several attempts to connect, of which one is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from edgetainer.quic.errors import ConnectionClosed
from edgetainer.quic.http3 import Http3Connection

Attempt = Callable[[], Deferred[Http3Connection]]


class Race:
    """Attempts of which the first success wins and ends the others.

    :ivar won: fires with it; fails as the first attempt did, or with a refusal.
    """

    def __init__(self, reactor: Any) -> None:
        self.won: Deferred[Http3Connection] = Deferred(lambda _: self._stop())
        self._reactor = reactor
        self._waiting: list[IDelayedCall] = []
        self._running: dict[Deferred[Http3Connection], None] = {}
        self._order: list[Deferred[Http3Connection]] = []
        self._failures: dict[Deferred[Http3Connection], Failure] = {}
        self._over = False

    def run(self, attempt: Attempt, *, after: float = 0.0) -> None:
        """Make one attempt, at once or after some seconds."""
        if after:
            self._waiting.append(self._reactor.callLater(after, self._start, attempt))
        else:
            self._start(attempt)

    def _start(self, attempt: Attempt) -> None:
        running = attempt()
        self._running[running] = None
        self._order.append(running)
        running.addCallbacks(
            lambda connection: self._succeeded(connection, running),
            lambda reason: self._failed(reason, running),
        )

    def _succeeded(self, connection: Http3Connection, which: Deferred[Http3Connection]) -> None:
        self._running.pop(which, None)
        if self._over:
            connection.close()
        else:
            self._stop()
            self.won.callback(connection)

    def _failed(self, reason: Failure, which: Deferred[Http3Connection]) -> None:
        self._running.pop(which, None)
        if self._over:
            return
        value = reason.value
        if isinstance(value, ConnectionClosed) and value.by_peer:
            # The server has judged us; it would say the same another way.
            self._stop()
            self.won.errback(reason)
            return
        self._failures[which] = reason
        if not self._running and not any(call.active() for call in self._waiting):
            self._over = True
            self.won.errback(self._failures[self._order[0]])

    def _stop(self) -> None:
        self._over = True
        for call in self._waiting:
            if call.active():
                call.cancel()
        for attempt in list(self._running):
            attempt.cancel()
