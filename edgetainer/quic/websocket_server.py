"""The server's end: WebSockets as one more way to a `ServerEndpoint`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.task import LoopingCall

from edgetainer.quic.carriers import Carrier
from edgetainer.quic.websocket import (
    MESSAGE_MAX,
    SUBPROTOCOL,
    DatagramSocket,
    ReceivedFrom,
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
    opened_at = 0.0

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
        if self.ended():
            self.factory.closed(self)


class WebSocketDoor(WebSocketServerFactory):
    """Takes WebSockets and gives their datagrams to a server's end.

    To be put on an HTTPS site with Autobahn's `WebSocketResource`.

    :param received: called with each datagram.
    :param in_use: the carriers of connections, and whether one on it is established.
        A WebSocket that is not among them is closed: its client moved on, is gone, or
        never was one.
    """

    protocol = DatagramServer
    noisy = False

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        received: ReceivedFrom,
        in_use: Callable[[], Mapping[Carrier, bool]],
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
            socket.close()

    def _sweep(self) -> None:
        used = self._in_use()
        young = self._clock.seconds() - SWEEP_S
        for socket in list(self._sockets):
            established = used.get(socket)
            if established:
                socket.trusted()
            elif established is None and socket.opened_at <= young:
                socket.close()
