"""The client's end of a WebSocket that carries QUIC datagrams."""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint

from edgetainer.quic.errors import failure
from edgetainer.quic.websocket import MESSAGE_MAX, SUBPROTOCOL, DatagramSocket, ReceivedFrom


class WebSocketCarrier(DatagramSocket, WebSocketClientProtocol):
    """A `Carrier` on one WebSocket; made by `open_websocket`."""

    factory: _ClientFactory

    def onOpen(self) -> None:
        """Called by Autobahn."""
        opened = self.factory.opened
        if opened.called:
            self.dropConnection(abort=True)  # cancelled meanwhile
            return
        self.begin(self.factory.received)
        opened.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Called by Autobahn."""
        self.message(payload, isBinary)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Called by Autobahn."""
        if not self.ended() and not self.factory.opened.called:
            error = ConnectionLost(reason or "the WebSocket handshake was refused")
            self.factory.opened.errback(failure(error))


class _ClientFactory(WebSocketClientFactory):
    protocol = WebSocketCarrier
    noisy = False

    def __init__(self, url: str, *, reactor: IReactorTime, received: ReceivedFrom) -> None:
        super().__init__(url, protocols=[SUBPROTOCOL], reactor=reactor)
        self.received = received
        self.opened: Deferred[WebSocketCarrier] = Deferred()
        self.setProtocolOptions(
            maxFramePayloadSize=MESSAGE_MAX,
            maxMessagePayloadSize=MESSAGE_MAX,
            # The caller's deadline is for all of it.
            openHandshakeTimeout=0,
            closeHandshakeTimeout=1,
            failByDrop=True,
            tcpNoDelay=True,
        )

    def buildProtocol(self, addr: IAddress) -> WebSocketCarrier:
        protocol = self.protocol()
        protocol.factory = self
        return protocol


def open_websocket(
    reactor: IReactorTime,
    endpoint: IStreamClientEndpoint,
    url: str,
    *,
    received: ReceivedFrom,
    timeout: float,
) -> Deferred[WebSocketCarrier]:
    """Open a WebSocket for datagrams; cancellable.

    Fails with whatever the endpoint fails with, with `ConnectionLost` when the
    server refuses, and with `TimeoutError`.

    :param endpoint: how to connect, TLS included.
    :param url: `wss://host:port/path`, for the request's head.
    :param received: called with each datagram that comes.
    :param timeout: seconds for all of it.
    """
    factory = _ClientFactory(url, reactor=reactor, received=received)
    opening = Deferred.fromCoroutine(_open(endpoint, factory))
    return opening.addTimeout(timeout, reactor)


async def _open(endpoint: IStreamClientEndpoint, factory: _ClientFactory) -> WebSocketCarrier:
    protocol: Any = await endpoint.connect(factory)
    try:
        return await factory.opened
    except BaseException:
        # Refused, or cancelled in the middle of the handshake.
        protocol.dropConnection(abort=True)
        raise
