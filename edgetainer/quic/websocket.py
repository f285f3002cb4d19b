"""QUIC datagrams in WebSocket messages (RFC 6455), for networks that let no UDP through.

Each binary message is one datagram. Nothing is added and nothing is trusted:
the QUIC inside proves who is who and encrypts end to end, so whoever ends the
TLS outside (a company's proxy) sees no more than a router would.

A WebSocket is named by a `WebSocketAddress`, so whatever handles datagrams and
their addresses handles these as well.
"""

from __future__ import annotations

import ipaddress
import socket as sockets
from collections import deque
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.protocols.policies import ProtocolWrapper
from zope.interface import implementer

from edgetainer.quic.carriers import DatagramReceived

SUBPROTOCOL = "quic-datagrams"
"""What both ends must name (RFC 6455 section 1.9): an accidental client is told so."""

MESSAGE_MAX = 65_535
"""Bytes of one message: the largest UDP datagram."""

QUEUE_MAX = 128 * 1024
"""Bytes that wait here while TCP takes no more; further datagrams are lost, as in
the queue of a router. A second at 1 Mbit/s: more would only be delay, since the
QUIC inside measures the path and sends again what was lost."""

NOT_SENT_LOW = 32 * 1024
"""Bytes that the kernel may hold unsent (TCP_NOTSENT_LOWAT), for the same reason."""


class WebSocketAddress(tuple[str, int]):
    """The other end of one WebSocket: the peer's host and port, and the way there.

    Each WebSocket has one, which is equal to nothing else: not to a UDP peer on
    the same host and port either.
    """

    kind = "websocket"
    socket: DatagramSocket

    def __new__(cls, host: str, port: int, socket: DatagramSocket) -> WebSocketAddress:
        """An address like any other, that knows its socket."""
        address = super().__new__(cls, (host, port))
        address.socket = socket
        return address

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> int:
        return id(self)


@implementer(IPushProducer)
class DatagramSocket:
    """What both ends of such a WebSocket have in common; mixed into Autobahn's classes."""

    transport: Any
    sendMessage: Any  # Autobahn's name
    dropConnection: Any

    _received: DatagramReceived
    _peer_address: WebSocketAddress

    def begin(self, received: DatagramReceived) -> None:
        """The handshake is over: datagrams may pass."""
        self._received = received
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._paused = False
        self._over = False
        peer = self.transport.getPeer()
        host = ipaddress.ip_address(peer.host.partition("%")[0])
        self._peer_address = WebSocketAddress(
            str(getattr(host, "ipv4_mapped", None) or host), peer.port, self
        )
        # On the server twisted.web's channel is still registered for its own pausing.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)
        _keep_kernel_queue_short(self.transport)

    @property
    def peer_address(self) -> WebSocketAddress:
        """The other end, as datagrams name it."""
        return self._peer_address

    def send_datagram(self, data: bytes) -> None:
        """Send one datagram, or lose it."""
        if self._over:
            return
        if not self._paused:
            self.sendMessage(data, isBinary=True)
        elif self._queued + len(data) <= QUEUE_MAX:
            self._queue.append(data)
            self._queued += len(data)

    def message(self, payload: bytes, binary: bool) -> None:
        """One message came; text is nothing that our own peers send."""
        if not binary:
            self.end()
        elif not self._over:
            self._received(payload, self._peer_address)

    def end(self) -> None:
        """Close at once: the QUIC inside has said what there was to say."""
        if not self._over:
            self.ended()
            self.dropConnection(abort=False)

    def ended(self) -> None:
        """The connection is gone or going."""
        self._over = True
        self._queue.clear()
        self._queued = 0
        # A transport with a producer does not close.
        self.transport.unregisterProducer()

    # From the transport, about our writing (IPushProducer).

    def pauseProducing(self) -> None:
        """TCP takes no more just now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """TCP takes more again."""
        self._paused = False
        while self._queue and not self._paused:
            data = self._queue.popleft()
            self._queued -= len(data)
            self.sendMessage(data, isBinary=True)

    def stopProducing(self) -> None:
        """The socket is gone; Autobahn tells us so too."""


def _keep_kernel_queue_short(transport: Any) -> None:
    transport.setTcpNoDelay(True)
    option = getattr(sockets, "TCP_NOTSENT_LOWAT", None)
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    handle = transport.getHandle()
    if option is not None and isinstance(handle, sockets.socket):
        handle.setsockopt(sockets.IPPROTO_TCP, option, NOT_SENT_LOW)
