"""Large, slow, endless and upgraded streams over real sockets, byte for byte and bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest_twisted
from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import deferLater
from zope.interface import implementer

from tests.gateway.support import HOST, Loopback, Peer, request

MIB = 1024 * 1024


@implementer(IPushProducer)
class Pour:
    """Writes `total` bytes (None: without end) as fast as the transport takes them."""

    def __init__(self, peer: Peer, total: int | None, seed: bytes = b"pour") -> None:
        self.block = hashlib.shake_256(seed).digest(64 * 1024)
        self.left = total
        self.poured = 0
        self.digest = hashlib.sha256()
        self.paused = False
        self._transport = peer.transport
        self._transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self.paused = False
        while not self.paused and self.left != 0:
            piece = self.block if self.left is None else self.block[: self.left]
            if self.left is not None:
                self.left -= len(piece)
            self.poured += len(piece)
            self.digest.update(piece)
            self._transport.write(piece)
        if self.left == 0:
            self.left = 0
            self._transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self.paused = True

    def stopProducing(self) -> None:
        self.left = 0


def held(transport: Any) -> int:
    """Bytes that a Twisted TCP transport keeps because the kernel does not take them."""
    return len(transport.dataBuffer) - transport.offset + transport._tempDataLen


def settled(value: Callable[[], int]) -> Awaitable[int]:
    """The value once it has not changed for half a second of turns of the reactor."""

    async def watch() -> int:
        before, still = value(), 0
        while still < 10:
            await deferLater(reactor, 0.05)
            now = value()
            before, still = now, still + 1 if now == before else 0
        return before

    return watch()


@pytest_twisted.ensureDeferred
async def test_twenty_mebibytes_arrive_byte_for_byte_both_ways() -> None:
    size = 20 * MIB
    async with Loopback() as loop:
        visitor = await loop.visit()
        coming = loop.containers.next()
        visitor.transport.write(request(f"Content-Length: {size}", method="PUT"))
        up = Pour(visitor, size, b"up")
        container = await coming
        await container.until_data(b"\r\n\r\n")
        head, _, _ = bytes(container.data).partition(b"\r\n\r\n")
        await container.until(lambda: container.total >= len(head) + 4 + size)
        body = bytes(container.data)[len(head) + 4 :]
        assert len(body) == size
        assert hashlib.sha256(body).digest() == up.digest.digest()

        container.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        down = Pour(container, size, b"down")
        await visitor.until_data(b"\r\n\r\n")
        head, _, _ = bytes(visitor.data).partition(b"\r\n\r\n")
        await visitor.until(lambda: visitor.total >= len(head) + 4 + size)
        body = bytes(visitor.data)[len(head) + 4 :]
        assert len(body) == size
        assert hashlib.sha256(body).digest() == down.digest.digest()


@pytest_twisted.ensureDeferred
async def test_a_chunked_upload_of_twenty_mebibytes_arrives_byte_for_byte() -> None:
    block = hashlib.shake_256(b"chunk").digest(MIB)
    async with Loopback() as loop:
        visitor = await loop.visit()
        coming = loop.containers.next()
        visitor.transport.write(request("Transfer-Encoding: chunked", method="POST"))
        for _ in range(20):
            visitor.transport.write(b"%x\r\n" % len(block) + block + b"\r\n")
        visitor.transport.write(b"0\r\n\r\n")
        container = await coming
        await container.until(lambda: container.data.endswith(b"\r\n0\r\n\r\n"))
        _, _, rest = bytes(container.data).partition(b"\r\n\r\n")
        body = bytearray()
        while rest != b"0\r\n\r\n":
            size, _, rest = rest.partition(b"\r\n")
            count = int(size, 16)
            body += rest[:count]
            assert rest[count : count + 2] == b"\r\n"
            rest = rest[count + 2 :]
        assert bytes(body) == block * 20


@pytest_twisted.ensureDeferred
async def test_a_visitor_that_stops_reading_stops_the_container() -> None:
    async with Loopback() as loop:
        visitor = await loop.visit()
        visitor.keep = False
        coming = loop.containers.next()
        visitor.transport.write(request())
        container = await coming
        await container.until_data(b"\r\n\r\n")
        container.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MIB))
        pour = Pour(container, 200 * MIB)
        await visitor.until(lambda: visitor.total > MIB)
        visitor.transport.pauseProducing()
        stood_at = await settled(lambda: pour.poured)
        # What is under way sits in the kernel's socket buffers (up to 6 MiB each
        # way on Linux's defaults, four of them), not in the gateway.
        assert stood_at < 60 * MIB
        assert pour.paused
        assert held(loop.gateways[0].transport) < 256 * 1024
        visitor.transport.resumeProducing()
        await visitor.until(lambda: visitor.total > 80 * MIB)
        assert pour.poured > stood_at


@pytest_twisted.ensureDeferred
async def test_a_container_that_stops_reading_stops_the_visitor() -> None:
    async with Loopback() as loop:
        visitor = await loop.visit()
        coming = loop.containers.next()
        visitor.transport.write(request(f"Content-Length: {200 * MIB}", method="POST"))
        container = await coming
        container.keep = False
        pour = Pour(visitor, 200 * MIB)
        await container.until(lambda: container.total > MIB)
        container.transport.pauseProducing()
        stood_at = await settled(lambda: pour.poured)
        assert stood_at < 60 * MIB
        assert pour.paused
        assert len(loop.gateways[0]._backlog) < 256 * 1024
        assert held(loop.gateways[0]._exchange._upstream.transport) < 256 * 1024
        container.transport.resumeProducing()
        await container.until(lambda: container.total > 80 * MIB)
        assert pour.poured > stood_at


@pytest_twisted.ensureDeferred
async def test_an_answer_without_end_flows_as_it_comes_and_ends_with_the_visitor() -> None:
    async with Loopback() as loop:
        visitor = await loop.visit()
        coming = loop.containers.next()
        visitor.transport.write(request("Accept: text/event-stream"))
        container = await coming
        await container.until_data(b"\r\n\r\n")
        container.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for number in range(200):
            event = b"data: %d\n\n" % number
            container.transport.write(b"%x\r\n%s\r\n" % (len(event), event))
            await visitor.until_data(event)
        visitor.transport.loseConnection()
        await container.until_closed()


class EchoServer(WebSocketServerProtocol):
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


class EchoClient(WebSocketClientProtocol):
    def onOpen(self) -> None:
        self.factory.opened.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.factory.got(payload, isBinary)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.factory.closed.callback((wasClean, code))


@pytest_twisted.ensureDeferred
async def test_a_websocket_echoes_through() -> None:
    async with Loopback() as loop:
        server_factory = WebSocketServerFactory(reactor=reactor)
        server_factory.protocol = EchoServer
        server = reactor.listenTCP(0, server_factory, interface="127.0.0.1")
        loop.door.way = TCP4ClientEndpoint(reactor, "127.0.0.1", server.getHost().port)

        factory = WebSocketClientFactory(f"wss://{HOST}/", reactor=reactor)
        factory.protocol = EchoClient
        factory.opened, factory.closed = Deferred(), Deferred()
        received: list[tuple[bytes, bool]] = []
        waiting: list[Deferred[None]] = []

        def got(payload: bytes, binary: bool) -> None:
            received.append((payload, binary))
            waiting.pop().callback(None)

        factory.got = got
        port = loop._gateway_port.getHost().port
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
        client = await factory.opened
        for payload, binary in [(b"hello", False), (bytes(range(256)) * 4096, True), (b"", True)]:
            waiting.append(Deferred().addTimeout(30, reactor))
            echoed = waiting[-1]
            client.sendMessage(payload, binary)
            await echoed
            assert received.pop() == (payload, binary)
        client.sendClose(1000)
        assert (await factory.closed) == (True, 1000)
        await server.stopListening()
