"""HTTP/3 connections: requests, sessions, pings and their ends."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.protocol import Protocol
from twisted.web.resource import Resource
from twisted.web.server import Site

from edgetainer.quic.http3 import Http3Connection
from edgetainer.quic.webtransport import SessionRequest, WebTransportSession
from tests.network import Network


class Hello(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        request.setHeader(b"x-identity", str(request.channel.connection.identity).encode())
        return b"hello " + request.path

    def render_POST(self, request: Any) -> bytes:
        return request.content.read()[::-1]


class Recorder(Protocol):
    def __init__(self) -> None:
        self.data = bytearray()
        self.lost: Any = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class Pair:
    """A client and a server with one session between them."""

    def __init__(self, **network: Any) -> None:
        self.network = Network(**network)
        self.accepted: list[Http3Connection] = []
        self.sessions: list[WebTransportSession] = []
        self.server = self.network.listen(site=Site(Hello()), on_connection=self._connected)
        self.client = self.network.run(self.network.connect())
        self.session = self.network.run(self.client.open_session("/tunnel", headers=[(b"a", b"b")]))
        self.server_session = self.sessions[0]

    def _connected(self, connection: Http3Connection) -> None:
        self.accepted.append(connection)
        connection.on_session = self._requested

    def _requested(self, request: SessionRequest) -> None:
        if request.path == "/tunnel":
            self.sessions.append(request.accept(headers=[(b"x-hello", b"yes")]))
        else:
            request.refuse(403, b"no")


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_a_request_is_answered_by_the_site(pair: Pair) -> None:
    response = pair.network.run(pair.client.request("GET", "/world"))
    assert (response.status, response.body) == (200, b"hello /world")
    assert response.header(b"x-identity") == b"CN=device"


def test_a_body_is_sent_and_received(pair: Pair) -> None:
    response = pair.network.run(pair.client.request("POST", "/", body=b"abc"))
    assert response.body == b"cba"


def test_the_server_opens_a_stream(pair: Pair) -> None:
    recorder = Recorder()
    pair.session.accept_streams = Echo
    pair.server_session.open_stream(recorder)
    recorder.transport.write(b"ping")
    pair.network.until(lambda: recorder.data == b"ping")


def test_the_client_opens_a_stream(pair: Pair) -> None:
    recorder = Recorder()
    pair.server_session.accept_streams = Echo
    pair.session.open_stream(recorder)
    recorder.transport.write(b"pong")
    pair.network.until(lambda: recorder.data == b"pong")


def test_headers_travel_with_the_session(pair: Pair) -> None:
    assert (b"x-hello", b"yes") in pair.session.headers
    assert (b"a", b"b") in pair.server_session.headers
