"""QUIC inside WebSockets, over real TCP on the loopback interface."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor as global_reactor
from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Site

from edgetainer.quic import websocket, websocket_server
from edgetainer.quic.client import ClientEndpoint
from edgetainer.quic.websocket import SUBPROTOCOL
from edgetainer.quic.websocket_client import WebSocketCarrier, open_websocket
from tests.quic.pair import pattern
from tests.quic.test_endpoint import Server

reactor: Any = global_reactor


class Web:
    """A server that takes datagrams by UDP and, at /quic of a TCP port, by WebSocket."""

    def __init__(self) -> None:
        self.server = Server()
        root = Resource()
        self.door = self.server.listening.websockets
        root.putChild(b"quic", WebSocketResource(self.door))
        self.port = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
        self.endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        self.url = f"ws://127.0.0.1:{self.port.getHost().port}/quic"

    def open(
        self, received: Any, url: str = "", timeout: float = 60.0
    ) -> Deferred[WebSocketCarrier]:
        return open_websocket(
            reactor, self.endpoint, url or self.url, received=received, timeout=timeout
        )

    async def connect(self) -> tuple[Any, WebSocketCarrier]:
        client = ClientEndpoint(reactor=reactor, tls=self.server.network.client_tls(), timeout=60.0)
        carrier = await self.open(lambda data, address, _: client.datagram_received(data, address))
        return await client.connect(carrier, carrier.peer_address), carrier

    async def close(self) -> None:
        await self.server.listening.close()
        await until(lambda: not len(self.door))
        await self.port.stopListening()


async def until(done: Any) -> None:
    """Wait, at most a minute."""
    deadline = reactor.seconds() + 60
    while not done():
        assert reactor.seconds() < deadline, "not so after 60 s"
        await deferLater(reactor, 0.01)


@pytest_twisted.async_yield_fixture
async def web() -> Any:
    running = Web()
    yield running
    await running.close()


@pytest_twisted.ensureDeferred
async def test_a_connection_lives_in_a_websocket(web: Web) -> None:
    connection, carrier = await web.connect()
    body = pattern(1 << 20)
    response = await connection.request("POST", "/", body=body, limit=2 << 20)
    assert response.body == body[::-1]
    (accepted,) = web.server.connections
    assert accepted.identity == "CN=device"
    assert accepted.peer == carrier.address
    connection.close()
    await connection.notify_close()


@pytest_twisted.ensureDeferred
async def test_the_socket_of_a_connection_that_is_over_is_closed(web: Web) -> None:
    connection, carrier = await web.connect()
    assert len(web.door) == 1
    connection.close()
    await connection.notify_close()
    await carrier.close()
    await until(lambda: not len(web.door))


@pytest_twisted.ensureDeferred
async def test_a_socket_that_no_connection_uses_is_closed(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_server, "SWEEP_S", 0.1)
    connection, used = await web.connect()
    idle = await web.open(lambda data, address, carrier: None)
    assert len(web.door) == 2
    await until(lambda: idle.over)
    await until(lambda: len(web.door) == 1)
    assert not used.over
    connection.close()
    await connection.notify_close()


class Raw(WebSocketClientProtocol):
    """A WebSocket client that says what a test wants."""

    def onOpen(self) -> None:
        self.factory.opened.callback(self)

    def onClose(self, wasClean: bool, code: Any, reason: Any) -> None:
        self.factory.closed.callback(reason)


def raw(web: Web, **options: Any) -> Any:
    factory = WebSocketClientFactory(web.url, reactor=reactor, **options)
    factory.protocol = Raw
    factory.opened, factory.closed = Deferred(), Deferred()
    web.endpoint.connect(factory)
    return factory


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"protocols": [SUBPROTOCOL], "origin": "https://console.example"}, "403"),
        ({"protocols": ["chat"]}, "400"),
        ({}, "400"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_pages_and_strangers_are_refused(web: Web, options: Any, why: str) -> None:
    factory = raw(web, **options)
    assert why in await factory.closed
    assert not factory.opened.called


@pytest.mark.parametrize("text", [True, False])
@pytest_twisted.ensureDeferred
async def test_text_and_rubbish_harm_nobody(web: Web, text: bool) -> None:
    connection, _ = await web.connect()
    factory = raw(web, protocols=[SUBPROTOCOL])
    client = await factory.opened
    client.sendMessage(b"rubbish" * 300, isBinary=not text)
    if text:
        await factory.closed
    response = await connection.request("POST", "/", body=b"ab")
    assert response.body == b"ba"
    if not text:
        client.dropConnection(abort=True)
        await factory.closed
    connection.close()
    await connection.notify_close()


@pytest_twisted.ensureDeferred
async def test_no_websocket_there(web: Web) -> None:
    with pytest.raises(ConnectionLost, match="404"):
        await web.open(print, url=web.url + "-not")
    closed = TCP4ClientEndpoint(reactor, "127.0.0.1", 1)
    with pytest.raises(ConnectError):
        await open_websocket(reactor, closed, web.url, received=print, timeout=5.0)


class Transport:
    """A TCP transport that takes what it is told to take."""

    def __init__(self) -> None:
        self.producer: Any = None
        self.known = 0

    def getPeer(self) -> Any:
        return IPv6Address("TCP", "::ffff:192.0.2.7", 4711)

    def getHost(self) -> Any:
        return IPv6Address("TCP", "fe80::1%eth0", 443)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def setTcpNoDelay(self, enabled: bool) -> None:
        assert enabled

    def getHandle(self) -> None:
        return None

    def trusted(self) -> None:
        self.known += 1


class Socket(websocket.DatagramSocket):
    def __init__(self) -> None:
        self.transport = Transport()
        self.sent: list[bytes] = []
        self.got: list[Any] = []
        self.dropped = False
        self.begin(lambda *datagram: self.got.append(datagram))

    def sendMessage(self, data: bytes, isBinary: bool) -> None:
        assert isBinary
        self.sent.append(data)

    def dropConnection(self, abort: bool) -> None:
        self.dropped = True


def test_a_tcp_that_stands_still_loses_datagrams_like_a_router() -> None:
    socket = Socket()
    socket.transport.producer.pauseProducing()
    datagrams = [number.to_bytes(2, "big") * 500 for number in range(200)]
    socket.send_many([(data, socket.peer_address) for data in datagrams])
    assert not socket.sent
    socket.transport.producer.resumeProducing()
    # What came first is kept, up to the bound; the rest is lost.
    assert socket.sent == datagrams[: websocket.QUEUE_MAX // 1000]
    socket.send(b"next", socket.peer_address)
    assert socket.sent[-1] == b"next"


def test_a_websocket_has_addresses_like_any_carrier() -> None:
    socket = Socket()
    assert socket.peer_address == ("192.0.2.7", 4711)
    assert socket.address == ("fe80::1", 443)
    socket.message(b"datagram", True)
    assert socket.got == [(b"datagram", ("192.0.2.7", 4711), socket)]
    socket.trusted()
    assert socket.transport.known == 1


def test_nothing_passes_after_the_end() -> None:
    socket = Socket()
    closed = socket.close()
    assert socket.over
    assert socket.dropped
    assert not closed.called
    socket.send(b"late", socket.peer_address)
    socket.message(b"late", True)
    socket.trusted()
    assert socket.transport.producer is None
    assert not socket.sent
    assert not socket.got
    assert socket.ended()
    assert closed.called
    assert socket.close().called
