"""The HTTPS port: who answers for which name, with which certificate, and for how many."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from autobahn.twisted.websocket import WebSocketClientFactory
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogLevel, capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from edgetainer.events import Events
from edgetainer.gateway.certificates import ServerCertificate
from edgetainer.gateway.exchange import Exchange
from edgetainer.gateway.http1 import Http1Protocol
from edgetainer.gateway.limits import Limits
from edgetainer.gateway.listener import HttpsFactory, _ip
from edgetainer.gateway.pages import Reply
from edgetainer.hub.protocol import HubResource, LiveSocket
from edgetainer.services.hub import HubTickets
from tests.gateway.certificate import self_signed
from tests.gateway.support import HOST, OpenDoor, Peer, PeerFactory, request
from tests.hub.support import VIEWER, Browser, People
from tests.wall import wall

CONSOLE = "console.example.com"
ORIGIN = f"https://{CONSOLE}"


class Console(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"the console"


@implementer(IOpenSSLClientConnectionCreator)
class Client:
    """TLS towards the port, with any name, versions and protocols; trusts everybody."""

    def __init__(self, name: str | None, alpn: list[bytes], most: int | None = None) -> None:
        self.name = name
        self.alpn = alpn
        self.context = CertificateOptions(verify=False).getContext()
        if most is not None:
            self.context.set_min_proto_version(SSL.TLS1_VERSION)
            self.context.set_max_proto_version(most)
            self.context.set_cipher_list(b"ALL:@SECLEVEL=0")

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self.context, None)
        if self.name is not None:
            connection.set_tlsext_host_name(self.name.encode("ascii"))
        if self.alpn:
            connection.set_alpn_protos(self.alpn)
        connection.set_connect_state()
        return connection


class Port:
    def __init__(self, limits: Limits, clock: Any) -> None:
        self.clock = clock
        self.peers = PeerFactory()
        self.certificate = ServerCertificate(*self_signed(HOST))
        self.seen: list[Http1Protocol] = []
        self.door = OpenDoor(Reply(200, ((b"content-length", b"10"),), b"the device"))
        self.hub_clock = Clock()
        self.people = People()
        self.tickets = HubTickets(standing=self.people.standing, clock=self.hub_clock)
        root = Resource()
        root.putChild(b"", Console())
        hub = HubResource(reactor=reactor, origins=[ORIGIN], live=self._live, terminal=self._live)
        root.putChild(b"ws", hub)
        self.factory = HttpsFactory(
            certificate=self.certificate,
            apps_domain="apps.example.com",
            build_visitor=self._build,
            console=Site(root, reactor=reactor),
            clock=clock,
            limits=limits,
        )
        self._limits = limits
        self._port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")

    def _live(self) -> LiveSocket:
        return LiveSocket(
            clock=self.hub_clock,
            origins=frozenset({ORIGIN}),
            tickets=self.tickets,
            events=Events(now=wall(self.hub_clock)),
        )

    def _build(self, server_name: str, address: str) -> Http1Protocol:
        self.seen.append(
            Http1Protocol(
                server_name=server_name,
                address=address,
                open_exchange=lambda visitor, head: Exchange(
                    visitor=visitor,
                    head=head,
                    door=self.door,
                    clock=self.clock,
                    limits=self._limits,
                ),
                clock=self.clock,
                limits=self._limits,
            )
        )
        return self.seen[-1]

    async def plain(self) -> Peer:
        """A TCP connection without TLS."""
        number = self._port.getHost().port
        return await TCP4ClientEndpoint(reactor, "127.0.0.1", number).connect(self.peers)

    async def tls(
        self, name: str | None, *, alpn: tuple[bytes, ...] = (), most: int | None = None
    ) -> Peer:
        factory = TLSMemoryBIOFactory(Client(name, list(alpn), most), True, self.peers)
        factory.noisy = False
        number = self._port.getHost().port
        outer = await TCP4ClientEndpoint(reactor, "127.0.0.1", number).connect(factory)
        return outer.wrappedProtocol

    async def close(self) -> None:
        for peer in self.peers.peers:
            if peer.lost is None:
                peer.transport.abortConnection()
                await peer.until_closed()
        await self.empty()
        await self._port.stopListening()

    async def empty(self) -> None:
        """Wait until the server, too, has noticed that nobody is connected."""
        for _ in range(1000):
            if not self.factory.count.total:
                return
            await deferLater(reactor, 0.01)
        raise AssertionError(f"{self.factory.count.total} connections are left")


@asynccontextmanager
async def https(limits: Limits | None = None, clock: Any = reactor) -> AsyncIterator[Port]:
    port = Port(limits or Limits(), clock)
    try:
        yield port
    finally:
        await port.close()


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        (HOST, b"the device"),
        (HOST.upper(), b"the device"),
        (CONSOLE, b"the console"),
        ("apps.example.com", b"the console"),
        ("evilapps.example.com", b"the console"),
        (None, b"the console"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_the_name_of_the_handshake_chooses_who_answers(
    name: str | None, answer: bytes
) -> None:
    async with https() as port:
        peer = await port.tls(name)
        host = (name or CONSOLE).encode("ascii")
        peer.transport.write(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        await peer.until_data(answer)


@pytest_twisted.ensureDeferred
async def test_a_host_that_is_not_the_name_of_the_handshake_is_misdirected() -> None:
    async with https() as port:
        peer = await port.tls("other.apps.example.com")
        peer.transport.write(request())
        await peer.until_data(b"HTTP/1.1 421 ")
        await peer.until_closed()


@pytest_twisted.ensureDeferred
async def test_only_http11_is_negotiated() -> None:
    async with https() as port:
        both = await port.tls(HOST, alpn=(b"h2", b"http/1.1"))
        both.transport.write(request())
        await both.until_data(b"the device")
        assert both.transport.negotiatedProtocol == b"http/1.1"
        other = await port.tls(HOST, alpn=(b"h2",))
        await other.until_closed()


@pytest.mark.parametrize("most", [SSL.TLS1_VERSION, SSL.TLS1_1_VERSION])
@pytest_twisted.ensureDeferred
async def test_old_versions_of_tls_are_refused(most: int) -> None:
    async with https() as port:
        peer = await port.tls(HOST, most=most)
        peer.transport.write(request())
        await peer.until_closed()
        assert peer.total == 0


@pytest_twisted.ensureDeferred
async def test_tls_12_is_served() -> None:
    async with https() as port:
        peer = await port.tls(HOST, most=SSL.TLS1_2_VERSION)
        peer.transport.write(request())
        await peer.until_data(b"the device")
        assert peer.transport.getHandle().get_protocol_version_name() == "TLSv1.2"


@pytest_twisted.ensureDeferred
async def test_a_new_certificate_is_shown_to_new_connections_only() -> None:
    def shown(peer: Peer) -> int:
        return peer.transport.getPeerCertificate().get_serial_number()

    async with https() as port:
        before = await port.tls(HOST)
        before.transport.write(request())
        await before.until_data(b"the device")
        port.certificate.replace(*self_signed(HOST))
        after = await port.tls(HOST)
        after.transport.write(request())
        await after.until_data(b"the device")
        assert shown(before) != shown(after)
        before.data.clear()
        before.transport.write(request())
        await before.until_data(b"the device")


@pytest_twisted.ensureDeferred
async def test_a_websocket_of_the_console_works_behind_the_port() -> None:
    async with https() as port:
        factory = WebSocketClientFactory(f"wss://{CONSOLE}/ws", origin=ORIGIN, reactor=reactor)
        factory.protocol = Browser
        tls = TLSMemoryBIOFactory(Client(CONSOLE, []), True, factory)
        tls.noisy = False
        number = port._port.getHost().port
        outer = await TCP4ClientEndpoint(reactor, "127.0.0.1", number).connect(tls)
        browser = outer.wrappedProtocol
        await browser.until(lambda: browser.has_opened)
        browser.say({"ticket": await port.tickets.issue(VIEWER)})
        assert (await browser.told("ready"))["user"]["username"] == "vera"
        assert port.factory.count.total == 1
        browser.sendClose(1000)
        assert await browser.ended() == 1000


@pytest_twisted.ensureDeferred
async def test_one_address_holds_at_most_64_connections_and_gets_them_back() -> None:
    async with https() as port:
        held = [await port.plain() for _ in range(64)]
        with capturedLogs() as logs:
            for _ in range(2):
                refused = await port.plain()
                await refused.until_closed()
        (told,) = [log for log in logs if log["log_level"] is LogLevel.warn]
        assert (told["address"], told["held"], told["total"]) == ("127.0.0.1", 64, 64)
        assert all(peer.lost is None for peer in held)
        held[0].transport.abortConnection()
        await held[0].until_closed()
        while port.factory.count.total == 64:  # until the server has noticed, too
            await deferLater(reactor, 0.01)
        peer = await port.tls(HOST)
        peer.transport.write(request())
        await peer.until_data(b"the device")


@pytest_twisted.ensureDeferred
async def test_500_sockets_that_dribble_headers_hold_64_for_ten_seconds_only() -> None:
    clock = Clock()
    async with https(clock=clock) as port:
        slow = [await port.plain() for _ in range(436)]
        await slow[-1].until_closed()
        assert port.factory.count.total == 64
        for peer in slow:
            if peer.lost is None:
                peer.transport.write(b"\x16\x03\x01")
        clock.advance(9)
        assert port.factory.count.total == 64
        clock.advance(1)
        for peer in slow:
            await peer.until_closed()
        await port.empty()
        # The same after the handshake, one byte at a time.
        slow = [await port.tls(HOST) for _ in range(64)]
        for peer in slow:
            peer.transport.write(b"G")
        for peer in slow:
            await peer.until(lambda peer=peer: peer.transport.getHandle() is not None)
        while len(port.seen) < 64:
            await deferLater(reactor, 0.01)
        for _ in range(10):
            for peer in slow:
                peer.transport.write(b"E")
            clock.advance(1)
            await deferLater(reactor, 0.01)
        for peer in slow:
            await peer.until_closed()
        await port.empty()


@pytest_twisted.ensureDeferred
async def test_bytes_that_are_not_tls_end_the_connection() -> None:
    async with https() as port:
        peer = await port.plain()
        peer.transport.write(request())
        await peer.until_closed()
        await port.empty()


@pytest_twisted.ensureDeferred
async def test_an_answer_through_tls_is_bounded_by_its_reader() -> None:
    size = 30 * 1024 * 1024
    async with https() as port:
        containers = PeerFactory()
        server = reactor.listenTCP(0, containers, interface="127.0.0.1")
        port.door.way = TCP4ClientEndpoint(reactor, "127.0.0.1", server.getHost().port)
        peer = await port.tls(HOST)
        coming = containers.next()
        peer.transport.write(request())
        container = await coming
        await container.until_data(b"\r\n\r\n")
        peer.transport.pauseProducing()
        container.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        container.transport.write(b"x" * size)
        # Until nothing moves any more.
        before, still = -1, 0
        while still < 10:
            await deferLater(reactor, 0.05)
            now = container.transport._tempDataLen + len(container.transport.dataBuffer)
            before, still = now, still + 1 if now == before else 0
        tcp = port.seen[0].transport.transport
        assert len(tcp.dataBuffer) + tcp._tempDataLen < 512 * 1024
        peer.transport.resumeProducing()
        await peer.until(lambda: peer.total > size)
        await server.stopListening()
        turn: Deferred[None] = Deferred()
        reactor.callLater(0, turn.callback, None)
        await turn


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (IPv4Address("TCP", "192.0.2.7", 1), "192.0.2.7"),
        (IPv6Address("TCP", "2001:db8::7", 1), "2001:db8::7"),
        (IPv6Address("TCP", "::ffff:192.0.2.7", 1), "192.0.2.7"),
        (IPv6Address("TCP", "fe80::7%eth0", 1), "fe80::7"),
        (UNIXAddress(b"/run/x"), "UNIXAddress"),
    ],
)
def test_a_visitor_is_told_by_its_plain_address(address: Any, told: str) -> None:
    assert _ip(address) == told
