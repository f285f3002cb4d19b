"""The server's end: WebSockets as one more way to a `ServerEndpoint`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.task import LoopingCall

from edgetainer.quic.carriers import Address, Carrier, DatagramReceived
from edgetainer.quic.websocket import (
    MESSAGE_MAX,
    SUBPROTOCOL,
    DatagramSocket,
    WebSocketAddress,
)

SWEEP_S = 10.0
"""Seconds between looks for WebSockets that no connection uses: time for a
handshake on a bad link, and no longer for a stranger to hold a socket."""

MOST_SOCKETS = 16_384
"""WebSockets at once. Each costs a file and some 60 KiB, and devices come this
way only where UDP is blocked."""


class DatagramServer(DatagramSocket, WebSocketServerProtocol):
    """Autobahn's server, which lets programs in and pages out."""

    factory: WebSocketDoor
    opened_at: float | None = None

    def onConnect(self, request: ConnectionRequest) -> str:
        """Called by Autobahn with the request; returns the subprotocol."""
        if request.origin:
            # A page that somebody visits must not speak to the tunnel through them.
            raise ConnectionDeny(403, "this is not for pages")
        if SUBPROTOCOL not in request.protocols:
            raise ConnectionDeny(400, f"the subprotocol is {SUBPROTOCOL}")
        return SUBPROTOCOL

    def onOpen(self) -> None:
        """Called by Autobahn."""
        self.begin(self.factory.received)
        self.factory.opened(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Called by Autobahn."""
        self.message(payload, isBinary)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Called by Autobahn."""
        if self.opened_at is not None:
            self.ended()
            self.factory.closed(self)


class WebSocketDoor(WebSocketServerFactory):
    """Takes WebSockets and gives their datagrams to a server's end.

    To be put on an HTTPS site with Autobahn's `WebSocketResource`.

    :param received: called with each datagram.
    :param in_use: the addresses that connections have now. A WebSocket that is not
        among them is closed: its client moved on, is gone, or never was one.
    """

    protocol = DatagramServer
    noisy = False

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        received: DatagramReceived,
        in_use: Callable[[], Collection[Address]],
    ) -> None:
        super().__init__(server=None, reactor=reactor)
        self.received = received
        self._clock = reactor
        self._in_use = in_use
        self._sockets: set[DatagramServer] = set()
        self._sweeping = LoopingCall(self._sweep)
        self._sweeping.clock = reactor
        self.setProtocolOptions(
            webStatus=False,
            maxFramePayloadSize=MESSAGE_MAX,
            maxMessagePayloadSize=MESSAGE_MAX,
            openHandshakeTimeout=5,
            closeHandshakeTimeout=1,
            failByDrop=True,
            tcpNoDelay=True,
            maxConnections=MOST_SOCKETS,
            serveFlashSocketPolicy=False,
            trustXForwardedFor=0,
        )

    def __len__(self) -> int:
        return len(self._sockets)

    def __bool__(self) -> bool:
        return True

    def buildProtocol(self, addr: IAddress) -> DatagramServer:
        protocol = self.protocol()
        protocol.factory = self
        return protocol

    def opened(self, socket: DatagramServer) -> None:
        """A WebSocket is open; called by itself."""
        socket.opened_at = self._clock.seconds()
        self._sockets.add(socket)
        if not self._sweeping.running:
            self._sweeping.start(SWEEP_S, now=False)

    def closed(self, socket: DatagramServer) -> None:
        """A WebSocket has ended; called by itself."""
        self._sockets.discard(socket)
        if not self._sockets and self._sweeping.running:
            self._sweeping.stop()

    def close(self) -> None:
        """Close them all."""
        for socket in list(self._sockets):
            socket.end()

    def _sweep(self) -> None:
        used = {address for address in self._in_use() if isinstance(address, WebSocketAddress)}
        young = self._clock.seconds() - SWEEP_S
        for socket in list(self._sockets):
            assert socket.opened_at is not None
            if socket.opened_at <= young and socket.peer_address not in used:
                socket.end()


class CarrierByAddress:
    """A server's `Carrier` that sends where the address points: UDP or a WebSocket.

    :param udp: the carrier of all other addresses.
    """

    def __init__(self, udp: Carrier) -> None:
        self._udp = udp

    @property
    def address(self) -> Address:
        """The local UDP address."""
        return self._udp.address

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram."""
        if isinstance(address, WebSocketAddress):
            address.socket.send_datagram(data)
        else:
            self._udp.send(data, address)

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send several, in order."""
        udp: list[tuple[bytes, Address]] = []
        for datagram in datagrams:
            data, address = datagram
            if isinstance(address, WebSocketAddress):
                address.socket.send_datagram(data)
            else:
                udp.append(datagram)
        if udp:
            self._udp.send_many(udp)

    def close(self) -> Deferred[None]:
        """Close the UDP carrier; WebSockets are closed by their door."""
        return self._udp.close()
