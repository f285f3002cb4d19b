"""Real UDP sockets on the real reactor, over the loopback interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.web.resource import Resource
from twisted.web.server import Site

from edgetainer.quic.endpoint import ClientTls, Listening, connect, listen
from edgetainer.quic.errors import ConnectionClosed
from tests.network import SERVER_NAME, Network
from tests.quic.pair import Echo, pattern

reactor: Any = global_reactor


class Reverse(Resource):
    isLeaf = True

    def render_POST(self, request: Any) -> bytes:
        return bytes(request.content.read())[::-1]


class Server:
    def __init__(self, interface: str = "127.0.0.1") -> None:
        self.network = Network()
        self.sessions: list[Any] = []
        self.connections: list[Any] = []
        self.listening: Listening = listen(
            reactor,
            interface=interface,
            port=0,
            tls=self.network.server_tls(),
            on_connection=self._connected,
            site=Site(Reverse()),
        )

    def _connected(self, connection: Any) -> None:
        self.connections.append(connection)
        connection.on_session = lambda request: self.sessions.append(request.accept())

    def connect(self, tls: ClientTls | None = None, timeout: float = 10.0) -> Deferred[Any]:
        host, port = self.listening.address
        return connect(
            reactor, host=host, port=port, tls=tls or self.network.client_tls(), timeout=timeout
        )


@pytest_twisted.async_yield_fixture
async def server() -> AsyncIterator[Server]:
    running = Server()
    yield running
    await running.listening.close()


class Collect(Echo):
    def __init__(self, total: int) -> None:
        self.total = total
        self.data = bytearray()
        self.done: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if len(self.data) == self.total:
            self.done.callback(bytes(self.data))


@pytest_twisted.ensureDeferred
async def test_requests_and_streams_over_udp(server: Server) -> None:
    client = await server.connect()
    body = pattern(1 << 20)
    response = await client.request("POST", "/", body=body, limit=2 << 20)
    assert response.body == body[::-1]
    session = await client.open_session("/tunnel")
    session.accept_streams = Echo
    collect = Collect(1 << 20)
    server.sessions[0].open_stream(collect)
    collect.transport.write(body)
    assert await collect.done == body
    assert server.connections[0].identity == "CN=device"
    assert server.connections[0].peer[0] == "127.0.0.1"
    ended = server.connections[0].notify_close()
    client.close()
    await ended


@pytest_twisted.ensureDeferred
async def test_a_refused_client_learns_it(server: Server) -> None:
    with pytest.raises(ConnectionClosed):
        await server.connect(ClientTls(server.network.authority.pem, SERVER_NAME))


@pytest_twisted.ensureDeferred
async def test_nobody_there_is_a_failure_in_time() -> None:
    gone = Server()
    address = gone.listening.address
    await gone.listening.close()
    with pytest.raises(ConnectionClosed, match="no answer in time"):
        await connect(
            reactor,
            host=address[0],
            port=address[1],
            tls=gone.network.client_tls(),
            timeout=0.3,
        )


@pytest_twisted.ensureDeferred
async def test_names_are_resolved(server: Server) -> None:
    client = await connect(
        reactor,
        host="localhost",
        port=server.listening.address[1],
        tls=server.network.client_tls(),
        timeout=10.0,
    )
    await client.ping()
    client.close()


@pytest_twisted.ensureDeferred
async def test_a_port_is_taken_once(server: Server) -> None:
    with pytest.raises(CannotListenError):
        listen(
            reactor,
            interface="127.0.0.1",
            port=server.listening.address[1],
            tls=server.network.server_tls(),
            on_connection=lambda connection: None,
        )


@pytest_twisted.ensureDeferred
async def test_a_closed_port_can_be_taken_at_once(server: Server) -> None:
    client = await server.connect()
    port = server.listening.address[1]
    await server.listening.close()
    again = listen(
        reactor,
        interface="127.0.0.1",
        port=port,
        tls=server.network.server_tls(),
        on_connection=lambda connection: None,
    )
    await again.close()
    await client.notify_close()
