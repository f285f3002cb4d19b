"""The client's end of a WebSocket that carries QUIC datagrams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint

from edgetainer.quic.carriers import Address, DatagramReceived
from edgetainer.quic.errors import failure
from edgetainer.quic.websocket import MESSAGE_MAX, SUBPROTOCOL, DatagramSocket, WebSocketAddress


class WebSocketCarrier:
    """A `Carrier` on one WebSocket; made by `open_websocket`.

    :ivar on_lost: called once when the WebSocket ends, unless we closed it.
    """

    def __init__(self, socket: DatagramClient) -> None:
        self._socket = socket
        self._closing: Deferred[None] | None = None
        self.on_lost: Callable[[], None] | None = None

    @property
    def address(self) -> Address:
        """The local address."""
        host = self._socket.transport.getHost()
        return (host.host, host.port)

    @property
    def peer(self) -> WebSocketAddress:
        """Where its datagrams go, and come from."""
        return self._socket.peer_address

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram; there is one place where it can go."""
        self._socket.send_datagram(data)

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send several, in order."""
        for data, _ in datagrams:
            self._socket.send_datagram(data)

    def close(self) -> Deferred[None]:
        """Close the WebSocket; fires when it is closed."""
        if self._closing is None:
            self._closing = Deferred()
            self.on_lost = None
            self._socket.end()
        return self._closing

    def lost(self) -> None:
        """The WebSocket has ended; called by its protocol."""
        if self._closing is None:
            self._closing = Deferred()
        if not self._closing.called:
            self._closing.callback(None)
        tell, self.on_lost = self.on_lost, None
        if tell is not None:
            tell()


class DatagramClient(DatagramSocket, WebSocketClientProtocol):
    """Autobahn's client that opens a carrier or fails."""

    factory: _ClientFactory
    _carrier: WebSocketCarrier | None = None

    def onOpen(self) -> None:
        """Called by Autobahn."""
        opened = self.factory.opened
        if opened.called:
            self.dropConnection(abort=True)  # cancelled meanwhile
            return
        self.begin(self.factory.received)
        self._carrier = WebSocketCarrier(self)
        opened.callback(self._carrier)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Called by Autobahn."""
        self.message(payload, isBinary)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Called by Autobahn."""
        if self._carrier is not None:
            self.ended()
            self._carrier.lost()
        elif not self.factory.opened.called:
            error = ConnectionLost(reason or "the WebSocket handshake was refused")
            self.factory.opened.errback(failure(error))


class _ClientFactory(WebSocketClientFactory):
    protocol = DatagramClient
    noisy = False

    def __init__(self, url: str, *, reactor: IReactorTime, received: DatagramReceived) -> None:
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

    def buildProtocol(self, addr: IAddress) -> DatagramClient:
        protocol = self.protocol()
        protocol.factory = self
        return protocol


def open_websocket(
    reactor: IReactorTime,
    endpoint: IStreamClientEndpoint,
    url: str,
    *,
    received: DatagramReceived,
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
