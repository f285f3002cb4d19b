"""The device's end of an accepted session.

It lets the server's channels in, listens for the doorbell, gives signs of
life, notices when the server gives none, and carries requests. A silent server
does not end it: the connection outlives an outage, and the dialer looks for the
server by another one meanwhile.
"""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.quic.errors import StreamLimit
from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.requests import Response
from edgetainer.quic.statistics import Statistics
from edgetainer.quic.webtransport import WebTransportSession
from edgetainer.tunnel.closing import close_code
from edgetainer.tunnel.control import Ears
from edgetainer.tunnel.doors import Doors, IncomingChannel
from edgetainer.tunnel.failures import explain
from edgetainer.tunnel.keepalive import Bounds, Keepalive
from edgetainer.tunnel.limits import KEEPALIVE, MAX_KEEPALIVE
from edgetainer.tunnel.messages import ControlTarget, Target
from edgetainer.tunnel.profiles import METERED
from edgetainer.tunnel.vigil import Deed, Listening, Pinging, Vigil

log = Logger()

#: Seconds until a request without an answer fails.
REQUEST_TIMEOUT = 60.0


class Link:
    """One session from its acceptance to its end.

    :param hello: what the server said; "keepalive_s" is heeded.
    :param doors: decide on the server's channels.
    :param on_doorbell: called with the revision of each ring.
    :param keepalive: how long the device may be silent, learned here; None where it
        speaks at the server's pace.
    :param on_learned: called with what is known of the network when that has changed.

    :ivar hello: as given.
    :ivar opened_at: seconds of the reactor's clock.
    :ivar silent: whether the server has said nothing for longer than it should.
    """

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        connection: Http3Connection,
        session: WebTransportSession,
        hello: Mapping[str, Any],
        doors: Doors,
        on_doorbell: Callable[[int], None],
        keepalive: Keepalive | None = None,
        on_learned: Callable[[Bounds], object] = lambda bounds: None,
    ) -> None:
        self.hello = dict(hello)
        self.opened_at = reactor.seconds()
        self.silent = False
        self._reactor = reactor
        self._connection = connection
        self._doors = doors
        self._on_doorbell = on_doorbell
        self._ears: Ears | None = None
        self._closed: EdgetainerError | None = None
        self._waiters: list[Deferred[EdgetainerError]] = []
        self._silences: list[Deferred[None]] = []
        if self.hello.get("profile") != METERED.name:
            # A server that knows nothing of it expects us to speak.
            keepalive = None
        self._keepalive = keepalive
        self._on_learned = on_learned
        self._learned = None if keepalive is None else keepalive.bounds
        self._wished = _keepalive(self.hello)
        self._vigil: Vigil = (
            Pinging(self._wished, now=self.opened_at) if keepalive is None else Listening(keepalive)
        )
        self._timer: IDelayedCall | None = None
        session.accept_streams = self._incoming
        session.notify_close().addBoth(self._ended)
        connection.notify_close().addBoth(self._ended)
        if self._closed is None:
            self._set_timer()

    @property
    def peer(self) -> tuple[str, int]:
        """The server's address."""
        return self._connection.peer

    @property
    def closed(self) -> bool:
        """Whether the session is over."""
        return self._closed is not None

    @property
    def keepalive_s(self) -> float:
        """Seconds of silence after which one of the ends says something."""
        return self._wished

    def network_changed(self, bounds: Bounds | None) -> None:
        """The device is on another network, of whose patience this is remembered."""
        if self._keepalive is not None:
            self._keepalive.move(bounds, now=self._reactor.seconds())
            self._learned = self._keepalive.bounds
            self._look()

    def statistics(self) -> Statistics:
        """How its connection fares, as this end sees it."""
        return self._connection.statistics()

    def notify_silence(self) -> Deferred[None]:
        """Fires when the server has been silent for too long; not when the session ends."""
        waiter: Deferred[None] = Deferred()
        self._silences.append(waiter)
        return waiter

    def notify_heard(self) -> Deferred[None]:
        """Fires when the server is heard again; not when the session ends."""
        return self._connection.notify_heard()

    def migrate(self) -> None:
        """The device's own address has changed: tell the server from the new one."""
        self._connection.migrate()

    def ask(self) -> None:
        """Make the server say something, if it can."""
        # Only the sound of the answer matters.
        self._connection.ping().addErrback(lambda _: None)

    def notify_close(self) -> Deferred[EdgetainerError]:
        """Fires with the reason once the session is over."""
        waiter: Deferred[EdgetainerError] = Deferred()
        if self._closed is not None:
            waiter.callback(self._closed)
        else:
            self._waiters.append(waiter)
        return waiter

    def close(self, error: EdgetainerError) -> None:
        """End the session and its connection, telling the server why."""
        if self._closed is None:
            self._closed = error
            self._connection.close(close_code(error), error.code)
            self._end(error)

    def shut(self, error: EdgetainerError) -> Deferred[None]:
        """As `close`; fires when the connection is over and the server has been told."""
        over = self._connection.notify_close().addErrback(lambda _: None)
        self.close(error)
        return over

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
        timeout: float = REQUEST_TIMEOUT,
    ) -> Deferred[Response]:
        """An HTTP/3 request on the tunnel's connection.

        Fires with the response, whatever its status; fails with
        `EdgetainerError` when there is none. Cancelling resets its stream.

        :param json: sent as the body, unless None.
        :param timeout: seconds until it fails with ``unavailable``.
        """
        body, fields = b"", list(headers)
        if json is not None:
            body = json_module.dumps(json, separators=(",", ":"), allow_nan=False).encode()
            fields.append((b"content-type", b"application/json"))
        sent = self._connection.request(method, path, headers=fields, body=body)
        sent.addTimeout(timeout, self._reactor)
        return sent.addErrback(_explain_request)

    def _incoming(self) -> IProtocol:
        # The limit on open streams in the QUIC handshake bounds how many.
        channel: IProtocol = IncomingChannel(reactor=self._reactor, doors=self)
        return channel

    async def open(self, target: Target) -> IProtocol:
        """Open control ourselves and leave the rest to the doors (for `IncomingChannel`)."""
        if not isinstance(target, ControlTarget):
            return await self._doors.open(target)
        if self._ears is not None:
            raise EdgetainerError("channel_refused", "The session has its control channel.")
        self._ears = Ears(self._on_doorbell)
        ears: IProtocol = self._ears
        return ears

    def _set_timer(self) -> None:
        heard, sent = self._connection.last_received, self._connection.last_sent
        delay = max(0.0, self._vigil.due(heard=heard, sent=sent) - self._reactor.seconds())
        self._timer = self._reactor.callLater(delay, self._look)

    def _look(self) -> None:
        self._cancel_timer()
        if self._closed is not None or self.silent:
            return
        deed = self._vigil.turn(
            self._reactor.seconds(),
            heard=self._connection.last_received,
            survived=self._connection.take_silence(),
        )
        self._tell_wish()
        if deed is Deed.SEARCH:
            self._fall_silent()
            return
        if deed is Deed.PING:
            # When the answer comes it is time to look again: how soon matters.
            self._connection.ping().addCallbacks(lambda _: self._look(), lambda _: None)
        self._set_timer()

    def _tell_wish(self) -> None:
        if self._keepalive is None or self._ears is None:
            return
        if self._keepalive.bounds != self._learned:
            self._learned = self._keepalive.bounds
            self._on_learned(self._learned)
        wish = round(self._keepalive.seconds, 1)
        if wish != self._wished:
            self._wished = wish
            self._ears.wish(wish)

    def _fall_silent(self) -> None:
        self.silent = True
        # No more PINGs: QUIC's own probes go on until something is heard.
        self.notify_heard().addCallback(lambda _: self._speaks_again())
        silences, self._silences = self._silences, []
        for waiter in silences:
            waiter.callback(None)

    def _speaks_again(self) -> None:
        self.silent = False
        if self._closed is None:
            self._set_timer()

    def _ended(self, reason: object) -> None:
        if self._closed is None:
            # The session may end before its connection; it is of no use then.
            self.close(explain(reason.value if isinstance(reason, Failure) else None))

    def _end(self, error: EdgetainerError) -> None:
        self._cancel_timer()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(error)

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


def _keepalive(hello: Mapping[str, Any]) -> float:
    wanted = hello.get("keepalive_s")
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return min(max(float(wanted), 1.0), MAX_KEEPALIVE)
    return KEEPALIVE


def _explain_request(failure: Failure) -> Any:
    if isinstance(failure.value, StreamLimit):
        raise EdgetainerError("unavailable", "Too many requests are under way.") from failure.value
    if isinstance(failure.value, ConnectionLost):
        raise EdgetainerError(
            "unavailable", "The connection was lost before the answer came."
        ) from failure.value
    raise explain(failure.value) from failure.value
