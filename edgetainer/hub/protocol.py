"""What every WebSocket of the console has in common, and the one for live updates.

Only pages of the console itself may connect (exact origin). No credential is in
the address: the first message, within five seconds, is a single-use ticket. The
person behind it is looked at again every few seconds, so that signing out or
losing a right ends or narrows the connection.

Close codes are 4000 + the HTTP status of the error that ended it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import Request
from zope.interface import implementer

from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.events import Events
from edgetainer.hub.topics import Feed
from edgetainer.services.hub import HubTickets

#: Seconds for the first message.
TICKET_WAIT_S = 5.0
#: Seconds between looks at who is connected; they are answered from memory.
RECHECK_S = 2.0
#: Bytes. A paste of a large file fits; a frame stays small enough to interleave.
MESSAGE_BYTES = 1024 * 1024
FRAME_BYTES = 256 * 1024
#: Seconds between pings, and for their answers.
PING_S = 20
#: Sockets at a time: two for each of a thousand people.
MOST_SOCKETS = 2048


@implementer(IPushProducer)
class Socket(WebSocketServerProtocol):
    """One WebSocket: admission by ticket, then messages.

    Subclasses give `admit`, `received` and `recheck`, all allowed to raise
    `EdgetainerError`, which is told to the client; and `left`.
    """

    log = Logger()

    def __init__(self, *, clock: IReactorTime, origins: frozenset[str]) -> None:
        super().__init__()
        self._clock = clock
        self._origins = origins
        self._deadline: IDelayedCall | None = None
        self._work: Deferred[None] | None = None
        self._admitted = False
        self._gone = False
        self._checker = LoopingCall(self._check)
        self._checker.clock = clock

    # For subclasses.

    async def admit(self, ticket: str) -> None:
        """Redeem the ticket and call `ready`."""
        raise NotImplementedError

    def received(self, payload: bytes, binary: bool) -> None:
        """A message after admission."""
        raise NotImplementedError

    async def recheck(self) -> None:
        """Raise when the client may not stay."""
        raise NotImplementedError

    def left(self) -> None:
        """The connection is gone or going."""

    def tell(self, message: dict[str, Any]) -> None:
        """Send a JSON message."""
        if not self._gone:
            self.sendMessage(json.dumps(message, separators=(",", ":")).encode("utf-8"))

    def refuse(self, error: EdgetainerError) -> None:
        """Tell the client why, and close."""
        if self._gone:
            return
        self.log.info("{peer} refused: {error}", peer=self.peer, error=error)
        self.tell({"type": "error", "code": error.code, "detail": error.detail})
        self.end(4000 + error.status)

    def end(self, code: int = 1000) -> None:
        """Close."""
        if not self._gone:
            self._leave()
            self.sendClose(code)

    # From Autobahn.

    def onConnect(self, request: ConnectionRequest) -> None:
        # Autobahn compares patterns and lets requests without an Origin pass;
        # so do we (programs have none), but what is there must be exact.
        if request.origin and request.origin not in self._origins:
            raise ConnectionDeny(403, "origin not allowed")

    def onOpen(self) -> None:
        # twisted.web's channel is still registered for its own pausing.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)
        self._deadline = self._clock.callLater(TICKET_WAIT_S, self._no_ticket)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self._gone:
            return
        try:
            if self._admitted:
                self.received(payload, isBinary)
            elif self._deadline is not None:
                ticket = parse_message(payload, isBinary).get("ticket")
                if not isinstance(ticket, str):
                    raise EdgetainerError("ticket_invalid", "The first message is the ticket.")
                self._deadline.cancel()
                self._deadline = None
                self._work = Deferred.fromCoroutine(self.admit(ticket))
                self._work.addErrback(self._failed)
            else:
                raise EdgetainerError("invalid_request", "Wait for the answer to the ticket.")
        except EdgetainerError as error:
            self.refuse(error)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self._leave()

    # From the socket, about our writing (IPushProducer).

    def pauseProducing(self) -> None:
        """The client does not read."""

    def resumeProducing(self) -> None:
        """The client reads again."""

    def stopProducing(self) -> None:
        """The socket is gone; onClose follows."""

    # Inside.

    def ready(self, greeting: dict[str, Any]) -> None:
        """Let the client in and tell it so; before anything else it is told."""
        if not self._gone:
            self._admitted = True
            self.tell({"type": "ready", **greeting})
            self._checker.start(RECHECK_S, now=False)

    def _check(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.recheck()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if self._gone:
            return
        if failure.check(EdgetainerError):
            self.refuse(failure.value)
        else:
            self.log.failure("a socket of the hub failed", failure)
            self.refuse(EdgetainerError("internal"))

    def _no_ticket(self) -> None:
        self._deadline = None
        self.refuse(EdgetainerError("ticket_invalid", "The ticket did not come in time."))

    def _leave(self) -> None:
        if self._gone:
            return
        self._gone = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._checker.running:
            self._checker.stop()
        if self.transport is not None and hasattr(self.transport, "unregisterProducer"):
            # A transport with a producer does not close.
            self.transport.unregisterProducer()
        self.left()


class LiveSocket(Socket):
    """Live updates: ``sub`` and ``unsub`` of topics."""

    def __init__(
        self,
        *,
        clock: IReactorTime,
        origins: frozenset[str],
        tickets: HubTickets,
        events: Events,
    ) -> None:
        super().__init__(clock=clock, origins=origins)
        self._tickets = tickets
        self._principal: Principal | None = None
        self._feed = Feed(events=events, clock=clock, send=self.tell)

    async def admit(self, ticket: str) -> None:
        who = self._principal = await self._tickets.redeem(ticket)
        user = {"id": who.user_id, "username": who.username, "role": str(who.role)}
        self.ready({"user": user})

    def received(self, payload: bytes, binary: bool) -> None:
        message = parse_message(payload, binary)
        operation, topic = message.get("op"), message.get("topic")
        if operation == "unsub":
            self._feed.unsubscribe(topic)
        elif operation == "sub" and self._principal is not None:
            try:
                self._feed.subscribe(self._principal, topic, message.get("since"))
            except EdgetainerError as error:
                # A topic too many or too high is no reason to lose the others.
                told = {"code": error.code, "detail": error.detail}
                self.tell({"type": "error", "topic": topic, **told})
        else:
            raise EdgetainerError("invalid_request", "There is no such operation.")

    async def recheck(self) -> None:
        if self._principal is not None:
            self._principal = await self._tickets.standing(self._principal)
            demand(self._principal, "hub.connect")
            self._feed.recheck(self._principal)

    def left(self) -> None:
        self._feed.close()

    def pauseProducing(self) -> None:
        self._feed.pause()

    def resumeProducing(self) -> None:
        self._feed.resume()


def parse_message(payload: bytes, binary: bool) -> dict[str, Any]:
    """A text message as a JSON object.

    :raises EdgetainerError: ``invalid_json`` or ``invalid_request``.
    """
    if binary:
        raise EdgetainerError("invalid_request", "This message must be text.")
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        raise EdgetainerError("invalid_json", "The message is not JSON.") from None
    if not isinstance(message, dict):
        raise EdgetainerError("invalid_request", "The message is not a JSON object.")
    return message


class _Factory(WebSocketServerFactory):
    """Autobahn's factory with everything open closed."""

    def __init__(
        self, *, reactor: IReactorTime, origins: Iterable[str], build: Callable[[], Socket]
    ) -> None:
        super().__init__(server=None, reactor=reactor)
        self._build = build
        self.setProtocolOptions(
            webStatus=False,
            maxFramePayloadSize=FRAME_BYTES,
            maxMessagePayloadSize=MESSAGE_BYTES,
            failByDrop=False,
            openHandshakeTimeout=5,
            closeHandshakeTimeout=2,
            tcpNoDelay=True,
            autoPingInterval=PING_S,
            autoPingTimeout=PING_S,
            serveFlashSocketPolicy=False,
            allowedOrigins=[_with_port(origin) for origin in origins],
            allowNullOrigin=False,
            maxConnections=MOST_SOCKETS,
            trustXForwardedFor=0,
        )

    def buildProtocol(self, addr: object) -> Socket:
        socket = self._build()
        socket.factory = self
        return socket


class HubResource(Resource):
    """``/ws`` and ``/ws/term``, to be put under the console's site as ``ws``."""

    isLeaf = True

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        origins: Iterable[str],
        live: Callable[[], Socket],
        terminal: Callable[[], Socket],
    ) -> None:
        super().__init__()
        allowed = tuple(origins)
        self._by_path = {
            (): WebSocketResource(_Factory(reactor=reactor, origins=allowed, build=live)),
            (b"term",): WebSocketResource(
                _Factory(reactor=reactor, origins=allowed, build=terminal)
            ),
        }

    def render(self, request: Request) -> bytes | int:
        found = self._by_path.get(tuple(request.postpath)) or notFound()
        answer: bytes | int = found.render(request)
        return answer


def _with_port(origin: str) -> str:
    """An origin as Autobahn spells it: always with its port."""
    return origin if origin.rpartition(":")[2].isdigit() else f"{origin}:443"
