"""A client and a server in memory with one WebTransport session between them."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.opening import SessionRequest
from edgetainer.quic.stream import QuicStreamTransport
from edgetainer.quic.webtransport import WebTransportSession
from tests.network import Network


class Recorder(Protocol):
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.lost: Any = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        assert self.lost is None, "lost twice"
        self.lost = reason


@implementer(IHalfCloseableProtocol)
class HalfCloser(Recorder):
    """Keeps what it receives, and knows that the two directions end apart."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[str] = []

    def readConnectionLost(self) -> None:
        self.ends.append("read")

    def writeConnectionLost(self) -> None:
        self.ends.append("write")


class Echo(Protocol):
    """Sends back what it receives."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class Stubborn(Recorder):
    """Never reads."""

    def connectionMade(self) -> None:
        self.transport.pauseProducing()


@implementer(IPushProducer)
class Source:
    """Pushes `total` bytes in pieces while it is not paused, then ends the stream."""

    def __init__(self, network: Network, transport: Any, total: int, piece: int = 65536) -> None:
        self.network = network
        self.transport = transport
        self.left = total
        self.piece = piece
        self.paused = False
        self.stopped = False
        self.pauses = 0
        transport.registerProducer(self, True)
        network.clock.callLater(0, self._push)

    def _push(self) -> None:
        while self.left and not self.paused and not self.stopped:
            size = min(self.piece, self.left)
            self.left -= size
            self.transport.write(pattern(size))
        if not self.left and not self.stopped:
            self.stopped = True
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def pauseProducing(self) -> None:
        self.paused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        self.paused = False
        self.network.clock.callLater(0, self._push)

    def stopProducing(self) -> None:
        self.stopped = True


def pattern(size: int) -> bytes:
    """Bytes whose order can be checked."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


class Pair:
    """Both ends, connected."""

    def __init__(
        self,
        *,
        site: Resource | None = None,
        server: dict[str, Any] | None = None,
        client: dict[str, Any] | None = None,
        **network: Any,
    ) -> None:
        self.network = Network(**network)
        self.accepted: list[Http3Connection] = []
        self.requests: list[SessionRequest] = []
        self.sessions: list[WebTransportSession] = []
        self.server = self.network.listen(
            site=Site(site) if site is not None else None,
            on_connection=self._connected,
            **(server or {}),
        )
        self.client = self.network.run(self.network.connect(**(client or {})))
        self.session = self.network.run(self.client.open_session("/tunnel", headers=[(b"a", b"b")]))
        self.server_session = self.sessions[0]

    def _connected(self, connection: Http3Connection) -> None:
        self.accepted.append(connection)
        connection.on_session = self._requested

    def _requested(self, request: SessionRequest) -> None:
        self.requests.append(request)
        if request.path == "/tunnel":
            self.sessions.append(request.accept(headers=[(b"x-hello", b"yes")]))
        elif request.path != "/later":
            request.refuse(403, b"no")

    @property
    def server_connection(self) -> Http3Connection:
        return self.accepted[0]

    def channel(self, server: Any, client: Any) -> None:
        """A stream opened by the server, with these protocols at its ends."""
        self.session.accept_streams = lambda: client
        self.server_session.open_stream(server)
        self.network.until(lambda: client.transport is not None)

    def buffered(self) -> int:
        """Bytes in the buffers of all streams, both ends."""
        total = 0
        for connection in (self.client, self.server_connection):
            total += connection.driver.quic.buffered()
            for incoming in connection._incoming.values():
                if isinstance(incoming, QuicStreamTransport):
                    total += len(incoming._pending)
        return total
