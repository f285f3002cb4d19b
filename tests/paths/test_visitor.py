"""An outside request through the gateway and the real tunnel, on a link that misbehaves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from zope.interface import implementer

from edgetainer.gateway.exchange import Exchange
from edgetainer.gateway.head import RequestHead
from edgetainer.gateway.http1 import Http1Protocol
from edgetainer.gateway.limits import Limits
from edgetainer.gateway.parties import Passage
from edgetainer.tunnel.messages import TcpTarget
from tests.gateway.support import HOST, Line, request
from tests.world import Device, World

KIB = 1024
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Container(Protocol):
    """What listens behind the device's door; `on_data` sees all that came so far."""

    def __init__(self, on_data: Callable[[Container], None]) -> None:
        self.data = b""
        self.lost: Any = None
        self._on_data = on_data

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self._on_data(self)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason


@implementer(IPushProducer)
class Flood:
    """Writes without end for as long as it is let."""

    def __init__(self, transport: Any) -> None:
        self.sent = 0
        self.going = True
        self._transport = transport
        transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self.going = True
        while self.going:
            self.sent += 16 * KIB
            self._transport.write(b"4000\r\n" + b"x" * 16 * KIB + b"\r\n")

    def pauseProducing(self) -> None:
        self.going = False

    def stopProducing(self) -> None:
        self.going = False


class Path:
    """One visitor, one device, one container."""

    def __init__(
        self, on_data: Callable[[Container], None] = lambda container: None, **link: Any
    ) -> None:
        self.world = World(**{"seed": 5, "delay": 0.02, **link})
        self.containers: list[Container] = []

        def door() -> Container:
            self.containers.append(Container(on_data))
            return self.containers[-1]

        self.device: Device = self.world.online("dev-1", doors={"web": door})
        self.clock = self.world.network.clock
        self.target = TcpTarget("web", 80)
        self.line = Line()
        self.visitor = Http1Protocol(
            server_name=HOST,
            address="192.0.2.7",
            open_exchange=self._exchange,
            clock=self.clock,
            limits=Limits(),
        )
        self.visitor.makeConnection(self.line)

    def _exchange(self, visitor: Http1Protocol, head: RequestHead) -> Exchange:
        return Exchange(visitor=visitor, head=head, door=self, clock=self.clock, limits=Limits())

    async def admit(self, head: RequestHead) -> Passage:
        way = self.world.switchboard.endpoint("dev-1", self.target)
        return Passage(way, self._recheck)

    async def _recheck(self) -> None:
        """Everybody may stay."""

    def send(self, data: bytes) -> None:
        self.visitor.dataReceived(data)

    def answered(self, needle: bytes) -> bytes:
        """What the visitor has got, once `needle` is in it."""
        self.world.until(lambda: needle in self.line.value())
        return self.line.value()


def answer_at_once(container: Container) -> None:
    if container.data.endswith(b"\r\n\r\n"):
        container.transport.write(OK)


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_requests_of_one_connection_each_get_their_answer(loss: float) -> None:
    path = Path(answer_at_once, loss=loss)
    for number in range(5):
        path.line.clear()
        path.send(request(target=f"/{number}"))
        assert path.answered(b"ok").startswith(b"HTTP/1.1 200 OK\r\n")
        assert path.containers[number].data.startswith(b"GET /%d HTTP/1.1\r\n" % number)
    path.world.until(lambda: all(container.lost for container in path.containers))


@pytest.mark.parametrize("loss", [0.0, 0.03])
def test_a_body_goes_up_and_comes_down_byte_for_byte(loss: float) -> None:
    body = hashlib.shake_256(b"body").digest(512 * KIB)

    def echo(container: Container) -> None:
        _, _, received = container.data.partition(b"\r\n\r\n")
        if len(received) == len(body):
            container.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(received) + received
            )

    path = Path(echo, loss=loss)
    path.send(request(f"Content-Length: {len(body)}", method="PUT"))
    for start in range(0, len(body), 32 * KIB):
        path.send(body[start : start + 32 * KIB])
        path.world.until(lambda: path.line.producerState == "producing")
    path.world.until(lambda: path.line.value().endswith(body[-64:]))
    assert path.line.value().partition(b"\r\n\r\n")[2] == body


def test_a_visitor_that_does_not_read_holds_the_container_back() -> None:
    floods: list[Flood] = []

    def flood(container: Container) -> None:
        if container.data.endswith(b"\r\n\r\n") and not floods:
            container.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            floods.append(Flood(container.transport))

    path = Path(flood)
    path.send(request())
    path.answered(b"xxxx")
    path.visitor.pauseProducing()
    got = len(path.line.value())
    path.world.pass_time(20)
    assert not floods[0].going
    stood_at = floods[0].sent
    # Unsent at the device, one window on the way, next to nothing in the gateway.
    assert stood_at - got < 2 * 1024 * KIB
    path.line.clear()
    path.world.pass_time(20)
    assert floods[0].sent == stood_at
    assert path.line.value() == b""
    path.visitor.resumeProducing()
    # More than was held anywhere: the container has gone on.
    path.world.until(lambda: len(path.line.value()) > 2 * 1024 * KIB)
    assert floods[0].sent > stood_at
    path.visitor.connectionLost(None)
    path.world.until(lambda: path.containers[0].lost is not None)


def test_a_service_that_is_no_longer_exposed_is_told() -> None:
    path = Path()
    path.target = TcpTarget("other", 80)
    path.send(request("Accept: application/json"))
    assert path.answered(b"service_not_exposed").startswith(b"HTTP/1.1 404 ")


def test_a_device_that_is_offline_is_told() -> None:
    path = Path()
    path.device.dialer.stop()
    path.world.until(lambda: "dev-1" not in path.world.switchboard.online())
    path.send(request())
    assert path.answered(b"device_offline").startswith(b"HTTP/1.1 503 ")


def test_an_answer_that_the_device_cannot_finish_breaks_the_connection() -> None:
    def begin(container: Container) -> None:
        container.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")

    path = Path(begin)
    path.send(request())
    path.answered(b"begun")
    path.device.dialer.stop()
    path.world.until(lambda: path.line.aborted)


def test_a_container_that_cuts_the_connection_unanswered_is_told() -> None:
    path = Path(lambda container: container.transport.abortConnection())
    path.send(request())
    assert path.answered(b"upstream_invalid").startswith(b"HTTP/1.1 502 ")


def test_a_websocket_is_spliced_through() -> None:
    def upgrade(container: Container) -> None:
        _, end, rest = container.data.partition(b"\r\n\r\n")
        if end and not rest:
            container.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                b"Upgrade: websocket\r\n\r\n"
            )
        elif rest:
            container.transport.write(b"echo:" + rest)
            container.transport.loseConnection()

    path = Path(upgrade)
    path.send(request("Connection: Upgrade", "Upgrade: websocket"))
    path.answered(b"\r\n\r\n")
    path.send(b"\x81\x85frame")
    assert path.answered(b"echo:").endswith(b"echo:\x81\x85frame")
    path.world.until(lambda: path.line.disconnecting)
    assert not path.line.aborted
