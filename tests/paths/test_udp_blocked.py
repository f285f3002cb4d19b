"""A network that lets no UDP through, then does: real sockets, TLS and WebSockets.

The device knows a UDP port behind which nobody answers, until the wall lets
datagrams through; and the HTTPS port of the same server.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Site

from edgetainer.gateway.certificates import ServerCertificate
from edgetainer.gateway.limits import Limits
from edgetainer.gateway.listener import HttpsFactory
from edgetainer.quic import websocket_server
from edgetainer.tunnel import carriage
from edgetainer.tunnel.carriage import Carriage
from edgetainer.tunnel.dialer import Dialer
from edgetainer.tunnel.listener import TunnelListener
from edgetainer.tunnel.messages import TcpTarget
from edgetainer.tunnel.session import Session
from edgetainer.tunnel.websocket import ROOT, WebSocketEntry
from edgetainer_agent.ways import ServerWays
from tests.gateway.certificate import self_signed
from tests.world import Echo, Listed, World

reactor: Any = global_reactor


class Wall(DatagramProtocol):
    """A UDP port in front of the server's, which lets datagrams of one client through or not."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.open = False
        self._server = server
        self._clients: dict[Any, Behind] = {}
        self.port = reactor.listenUDP(0, self, interface="127.0.0.1")

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if self.open:
            if addr not in self._clients:
                self._clients[addr] = Behind(self, addr)
            self._clients[addr].transport.write(datagram, self._server)

    async def close(self) -> None:
        for behind in self._clients.values():
            await behind.port.stopListening()
        await self.port.stopListening()


class Behind(DatagramProtocol):
    """The wall's side towards the server, for one client."""

    def __init__(self, wall: Wall, client: Any) -> None:
        self._wall, self._client = wall, client
        self.port = reactor.listenUDP(0, self, interface="127.0.0.1")

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if self._wall.open:
            self._wall.transport.write(datagram, self._client)


class Talk(Protocol):
    """Says things and waits for their echo."""

    def __init__(self) -> None:
        self.heard = b""
        self._waiting: tuple[int, Deferred[None]] | None = None

    def say(self, data: bytes) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        self._waiting = (len(self.heard) + len(data), waiting)
        self.transport.write(data)
        return waiting.addTimeout(60.0, reactor)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if self._waiting is not None and len(self.heard) >= self._waiting[0]:
            (_, waiting), self._waiting = self._waiting, None
            waiting.callback(None)


class Place:
    """One server and one device of it."""

    def __init__(self, folder: Path) -> None:
        world = World()
        self.sessions: list[Session] = []
        self.listener = TunnelListener(
            reactor=reactor,
            interface="127.0.0.1",
            port=0,
            tls=world.network.server_tls(verify_client=world.verify),
            site=None,
            on_session=self._admit,
        )
        self.listener.start()
        certificate, key = self_signed("localhost")
        root = Resource()
        root.putChild(ROOT, WebSocketEntry(self.listener))
        self.https = HttpsFactory(
            certificate=ServerCertificate(certificate, key),
            apps_domain="apps.localhost",
            build_visitor=lambda name, address: None,  # type: ignore[arg-type,return-value]
            console=Site(root, reactor=reactor),
            clock=reactor,
            limits=Limits(),
        )
        self.port = reactor.listenTCP(0, self.https, interface="127.0.0.1")
        self.wall = Wall(self.listener.address)
        trusted = folder / "ca.pem"
        trusted.write_bytes(certificate)
        ways = ServerWays(
            reactor, server_url=f"https://localhost:{self.port.getHost().port}", ca_file=trusted
        )
        leaf = world.network.authority.client("dev-1")
        self.dialer = Dialer(
            reactor=reactor,
            addresses=[("127.0.0.1", self.wall.port.getHost().port)],
            tls=lambda: world.network.client_tls(leaf),
            doors=Listed({"web": Echo}),
            hello=dict,
            on_connected=lambda hello: None,
            on_disconnected=lambda error: None,
            on_doorbell=lambda revision: None,
            random=random.Random(1),
            connect=Carriage(reactor=reactor, ways=ways).connect,
        )
        self.dialer.start()

    def _admit(self, session: Session) -> dict[str, Any]:
        self.sessions.append(session)
        return {}

    async def close(self) -> None:
        await self.dialer.stop()
        await self.listener.close()
        await until(lambda: self.https.count.total == 0)
        await self.wall.close()
        await self.port.stopListening()


async def until(done: Callable[[], object]) -> None:
    """Wait, at most a minute."""
    deadline = reactor.seconds() + 60
    while not done():
        assert reactor.seconds() < deadline, "not so after 60 s"
        await deferLater(reactor, 0.01)


@pytest_twisted.ensureDeferred
async def test_a_channel_lives_through_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carriage, "ASK_FIRST", 1.0)
    monkeypatch.setattr(carriage, "HEAD_START", 0.5)
    monkeypatch.setattr(websocket_server, "SWEEP_S", 0.2)
    place = Place(tmp_path)
    await until(lambda: place.sessions)
    (session,) = place.sessions
    assert session.connection.carrier.kind == "websocket"
    talk: Any = await session.endpoint(TcpTarget("web", 80)).connect(Factory.forProtocol(Talk))
    await talk.say(b"through TCP " * 20_000)
    # Once it is known, a device does not count among its address's strangers.
    await until(lambda: not place.https.count.held("127.0.0.1"))
    assert place.https.count.total == 1

    place.wall.open = True
    await until(lambda: session.connection.carrier.kind == "udp")
    await talk.say(b"through UDP " * 20_000)
    await until(lambda: place.https.count.total == 0)

    place.wall.open = False
    await talk.say(b"and through TCP again")
    assert session.connection.carrier.kind == "websocket"
    assert place.sessions == [session]
    assert session.channels == 2  # control, and this one
    await place.close()
