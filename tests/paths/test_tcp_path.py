"""A TCP connection from a visitor to a container's port, on real sockets.

visitor ⇄ splice ⇄ endpoint ⇄ channel ⇄ QUIC over UDP ⇄ channel ⇄ splice ⇄ port
"""

from __future__ import annotations

import random
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.errors import EdgetainerError
from edgetainer.switchboard import Switchboard
from edgetainer.tunnel.dialer import Dialer
from edgetainer.tunnel.listener import TunnelListener
from edgetainer.tunnel.messages import Target, TcpTarget
from edgetainer.tunnel.splice import splice
from tests.tunnel.sender import Sender
from tests.world import World

BLOCK = bytes(range(256)) * 64
BLOCKS = 1024 * 1024 // len(BLOCK)


@implementer(IHalfCloseableProtocol)
class Mirror(Protocol):
    """The container's port: says back what it hears, and ends when it was told all."""

    def connectionMade(self) -> None:
        # Its reading stops when it cannot write: an honest slow echo.
        self.transport.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)

    def readConnectionLost(self) -> None:
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        pass


def listen(factory: Factory) -> Deferred[Any]:
    return TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)


def dial(port: int, protocol: Protocol) -> Deferred[Any]:
    return connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), protocol)


@pytest_twisted.ensureDeferred
async def test_every_byte_there_and_back_and_a_port_that_is_shut() -> None:
    world = World()  # for its certificates
    switchboard = Switchboard(reactor=reactor)
    container = await listen(Factory.forProtocol(Mirror))

    class Doors:
        async def open(self, target: Target) -> IProtocol:
            assert isinstance(target, TcpTarget)
            outer, inner = splice()
            try:
                await dial(target.port, inner)
            except Exception as error:
                raise EdgetainerError("port_closed", "Nothing listens there.") from error
            return outer

    def admit(session: Any) -> dict[str, Any]:
        switchboard.add(session)
        return {}

    listener = TunnelListener(
        reactor=reactor,
        interface="127.0.0.1",
        port=0,
        tls=world.network.server_tls(verify_client=world.verify),
        site=None,
        on_session=admit,
    )
    listener.start()
    leaf = world.network.authority.client("dev-1")
    connected: Deferred[Any] = Deferred()
    dialer = Dialer(
        reactor=reactor,
        addresses=[listener.address],
        tls=lambda: world.network.client_tls(leaf),
        doors=Doors(),
        hello=dict,
        on_connected=connected.callback,
        on_disconnected=lambda error: None,
        on_doorbell=lambda revision: None,
        random=random.Random(1),
    )
    dialer.start()
    await connected
    refusals: list[str] = []

    def gate(port: int) -> Factory:
        """An outside port spliced to a port on the device."""

        class Gate(Factory):
            def buildProtocol(self, addr: object) -> Protocol:
                near, far = splice()

                def refused(failure: Failure) -> None:
                    refusals.append(failure.value.code)  # type: ignore[attr-defined]
                    near.transport.abortConnection()

                endpoint = switchboard.endpoint("dev-1", TcpTarget("web", port))
                connectProtocol(endpoint, far).addErrback(refused)
                return near

        return Gate()

    inside = container.getHost().port
    outside = await listen(gate(inside))
    visitors = [Sender(BLOCK, BLOCKS), Sender(BLOCK, BLOCKS)]
    for visitor in visitors:
        await dial(outside.getHost().port, visitor)
    for visitor in visitors:
        answer = await visitor.done
        assert len(answer) == len(BLOCK) * BLOCKS
        assert answer == BLOCK * BLOCKS

    await container.stopListening()
    shut = await listen(gate(inside))
    visitor = Sender(BLOCK, BLOCKS)
    await dial(shut.getHost().port, visitor)
    await visitor.done
    assert refusals == ["port_closed"]

    for port in (outside, shut):
        await port.stopListening()
    await dialer.stop()
    switchboard.stop()
    await listener.close()
