"""A gateway between a raw visitor and a raw container, in memory or on loopback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from edgetainer.errors import EdgetainerError
from edgetainer.gateway.exchange import Exchange
from edgetainer.gateway.head import RequestHead
from edgetainer.gateway.http1 import Http1Protocol
from edgetainer.gateway.limits import Limits
from edgetainer.gateway.pages import Reply
from edgetainer.gateway.parties import Passage

HOST = "web--kiosk.apps.example.com"


class Line(StringTransport):
    """A transport in memory that knows how it was ended, and whether it is being read."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False
        self.protocol: Any = None

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True

    def taken(self) -> bytes:
        """What was written since the last look."""
        data = self.value()
        self.clear()
        return data


@implementer(IStreamClientEndpoint)
class MemoryContainer:
    """An endpoint whose connections end in `Line`s."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def connect(self, factory: Factory) -> Deferred[Protocol]:
        line = Line()
        line.protocol = factory.buildProtocol(None)
        self.lines.append(line)
        line.protocol.makeConnection(line)
        result: Deferred[Protocol] = Deferred()
        result.callback(line.protocol)
        return result

    @property
    def line(self) -> Line:
        """The latest connection."""
        return self.lines[-1]

    @property
    def received(self) -> bytes:
        """Everything that ever reached the container."""
        return b"".join(line.value() for line in self.lines)


class OpenDoor:
    """Lets everybody through to one endpoint, unless told otherwise."""

    def __init__(self, way: IStreamClientEndpoint | Reply | EdgetainerError) -> None:
        self.way = way
        self.rechecks = 0
        self.recheck_error: EdgetainerError | None = None

    async def admit(self, head: RequestHead) -> Passage | Reply:
        if isinstance(self.way, EdgetainerError):
            raise self.way
        if isinstance(self.way, Reply):
            return self.way
        return Passage(self.way, self._recheck)

    async def _recheck(self) -> None:
        self.rechecks += 1
        if self.recheck_error is not None:
            raise self.recheck_error


class Memory:
    """One visitor's connection, on a clock that only the test moves."""

    def __init__(self, *, limits: Limits | None = None, door: OpenDoor | None = None) -> None:
        self.clock = Clock()
        self.container = MemoryContainer()
        self.door = door or OpenDoor(self.container)
        self.limits = limits or Limits()
        self.line = Line()
        self.protocol = Http1Protocol(
            server_name=HOST,
            address="192.0.2.7",
            open_exchange=self._open_exchange,
            clock=self.clock,
            limits=self.limits,
        )
        self.protocol.makeConnection(self.line)

    def _open_exchange(self, visitor: Http1Protocol, head: RequestHead) -> Exchange:
        return Exchange(
            visitor=visitor, head=head, door=self.door, clock=self.clock, limits=self.limits
        )

    def send(self, data: bytes) -> bytes:
        """Bytes from the visitor; returns what it has been answered since."""
        self.protocol.dataReceived(data)
        return self.line.taken()

    def answer(self, data: bytes) -> bytes:
        """Bytes from the container; returns what the visitor got of them."""
        self.container.line.protocol.dataReceived(data)
        return self.line.taken()

    def advance(self, seconds: float, step: float = 1.0) -> bytes:
        """Let time pass; returns what the visitor got meanwhile."""
        self.clock.pump([step] * int(seconds / step))
        return self.line.taken()


class Peer(Protocol):
    """A raw end of a real connection: collects bytes, fires when enough have come."""

    def __init__(self, on_data: Callable[[Peer, bytes], None] | None = None) -> None:
        self.data = bytearray()
        self.total = 0
        self.keep = True
        self.lost: Any = None
        self._on_data = on_data
        self._waits: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def connectionMade(self) -> None:
        if isinstance(self.factory, PeerFactory):
            self.factory.joined(self)

    def dataReceived(self, data: bytes) -> None:
        self.total += len(data)
        if self.keep:
            self.data += data
        if self._on_data is not None:
            self._on_data(self, data)
        self._look()

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason
        self._look()

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Fires once the condition holds; looked at after each event of this peer."""
        result: Deferred[None] = Deferred()
        self._waits.append((condition, result))
        self._look()
        return result.addTimeout(30, reactor)

    def until_data(self, needle: bytes) -> Deferred[None]:
        """Fires once `needle` has come."""
        return self.until(lambda: needle in self.data)

    def until_closed(self) -> Deferred[None]:
        """Fires once the connection is gone."""
        return self.until(lambda: self.lost is not None)

    def _look(self) -> None:
        ready = [wait for wait in self._waits if wait[0]()]
        for wait in ready:
            self._waits.remove(wait)
            wait[1].callback(None)


class PeerFactory(Factory):
    """Builds peers and keeps them."""

    noisy = False

    def __init__(self, on_data: Callable[[Peer, bytes], None] | None = None) -> None:
        self.peers: list[Peer] = []
        self._on_data = on_data
        self._waiting: list[Deferred[Peer]] = []

    def buildProtocol(self, addr: object) -> Peer:
        peer = Peer(self._on_data)
        peer.factory = self
        return peer

    def joined(self, peer: Peer) -> None:
        self.peers.append(peer)
        waiting, self._waiting = self._waiting, []
        for result in waiting:
            result.callback(peer)

    def next(self) -> Deferred[Peer]:
        """The next peer to connect."""
        result: Deferred[Peer] = Deferred()
        self._waiting.append(result)
        return result.addTimeout(30, reactor)


class Loopback:
    """Visitor, gateway and container on real TCP; `async with` closes everything."""

    def __init__(
        self,
        on_data: Callable[[Peer, bytes], None] | None = None,
        *,
        limits: Limits | None = None,
    ) -> None:
        self.containers = PeerFactory(on_data)
        self.visitors = PeerFactory()
        self.gateways: list[Http1Protocol] = []
        self.limits = limits or Limits()

    async def __aenter__(self) -> Loopback:
        self._container_port = reactor.listenTCP(0, self.containers, interface="127.0.0.1")
        self.way = TCP4ClientEndpoint(
            reactor, "127.0.0.1", self._container_port.getHost().port, timeout=10
        )
        self.door = OpenDoor(self.way)
        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = self._build  # type: ignore[method-assign]
        self._gateway_port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        return self

    def _build(self, addr: object) -> Http1Protocol:
        protocol = Http1Protocol(
            server_name=HOST,
            address="127.0.0.1",
            open_exchange=lambda visitor, head: Exchange(
                visitor=visitor, head=head, door=self.door, clock=reactor, limits=self.limits
            ),
            clock=reactor,
            limits=self.limits,
        )
        self.gateways.append(protocol)
        return protocol

    async def visit(self) -> Peer:
        """A new visitor's connection."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self._gateway_port.getHost().port)
        return await endpoint.connect(self.visitors)

    async def __aexit__(self, *exc: object) -> None:
        for peer in [*self.visitors.peers, *self.containers.peers]:
            if peer.lost is None:
                peer.transport.abortConnection()
                await peer.until_closed()
        for gateway in self.gateways:
            if gateway.transport.connected:
                gateway.transport.abortConnection()
        await self._gateway_port.stopListening()
        await self._container_port.stopListening()


def request(*lines: str, method: str = "GET", target: str = "/", body: bytes = b"") -> bytes:
    """A request with a good request line and Host, and these further headers."""
    head = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {HOST}", *lines])
    return head.encode("latin-1") + b"\r\n\r\n" + body
