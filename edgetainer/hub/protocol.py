"""The hub's place on the console's site, and the WebSocket for live updates."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import Request

from edgetainer.domain.access import Principal, demand
from edgetainer.errors import EdgetainerError
from edgetainer.events import Events
from edgetainer.hub.socket import Socket, parse_message
from edgetainer.hub.topics import Feed
from edgetainer.services.hub import HubTickets

#: Bytes. A paste of a large file fits; a frame stays small enough to interleave.
MESSAGE_BYTES = 1024 * 1024
FRAME_BYTES = 256 * 1024
#: Seconds between pings, and for their answers.
PING_S = 20
#: Seconds between signs of life: a browser cannot see pings, and a network that
#: drops everything in silence closes no socket. It calls what it shows stale
#: after five seconds without a word, so one word may be late.
BEAT_S = 2.0
#: Sockets at a time: two for each of a thousand people.
MOST_SOCKETS = 2048


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
        self._beats = LoopingCall(self.tell, {"type": "beat"})
        self._beats.clock = clock

    async def admit(self, ticket: str) -> None:
        who = self._principal = await self._tickets.redeem(ticket)
        user = {"id": who.user_id, "username": who.username, "role": str(who.role)}
        self.ready({"user": user})
        self._beat()

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
        self._rest()

    # Who does not read is not listened to either: each message may have an
    # answer, and the answers would pile up.

    def pauseProducing(self) -> None:
        self._feed.pause()
        self._rest()
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._feed.resume()
        self._beat()
        self.transport.resumeProducing()

    def _beat(self) -> None:
        if self._principal is not None and not self.gone and not self._beats.running:
            self._beats.start(BEAT_S, now=False)

    def _rest(self) -> None:
        if self._beats.running:
            self._beats.stop()


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
