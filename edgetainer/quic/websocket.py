"""QUIC datagrams in WebSocket messages (RFC 6455), for networks that let no UDP through.

Each binary message is one datagram. Nothing is added and nothing is trusted:
the QUIC inside proves who is who and encrypts end to end, so whoever ends the
TLS outside (a company's proxy) sees no more than a router would.
"""

from __future__ import annotations

import ipaddress
import socket as sockets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.protocols.policies import ProtocolWrapper
from zope.interface import implementer

from edgetainer.quic.carriers import ETHERNET_DATAGRAM, Address, Carrier

SUBPROTOCOL = "quic-datagrams"
"""What both ends must name (RFC 6455 section 1.9): an accidental client is told so."""

KIND = "websocket"
"""What this kind of carrier is called."""

MESSAGE_MAX = 65_535
"""Bytes of one message: the largest UDP datagram."""

QUEUE_MAX = 128 * 1024
"""Bytes that wait here while TCP takes no more; further datagrams are lost, as in
the queue of a router. A second at 1 Mbit/s: more would only be delay, since the
QUIC inside measures the path and sends again what was lost."""

NOT_SENT_LOW = 32 * 1024
"""Bytes that the kernel may hold unsent (TCP_NOTSENT_LOWAT), for the same reason."""


ReceivedFrom = Callable[[bytes, Address, Carrier], None]
"""Called with each datagram, the peer's address, and the WebSocket that brought it."""


@implementer(IPushProducer)
class DatagramSocket:
    """What both ends of such a WebSocket have in common: a `Carrier` to one peer.

    Mixed into Autobahn's protocols.
    """

    transport: Any
    sendMessage: Any  # Autobahn's
    dropConnection: Any

    kind = KIND

    _begun = False
    _over = False

    def begin(self, received: ReceivedFrom) -> None:
        """The handshake is over: datagrams may pass."""
        self._begun = True
        self._received = received
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._paused = False
        self._closed: Deferred[None] = Deferred()
        self._address = _address(self.transport.getHost())
        self._peer = _address(self.transport.getPeer())
        # On the server twisted.web's channel is still registered for its own pausing.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)
        _keep_kernel_queue_short(self.transport)

    @property
    def address(self) -> Address:
        """The local address."""
        return self._address

    @property
    def peer_address(self) -> Address:
        """The only address there is to send to."""
        return self._peer

    @property
    def over(self) -> bool:
        """Whether it has been closed, by whomever."""
        return self._over

    def trusted(self) -> None:
        """Whoever is at the other end has been authenticated.

        Passed on to a transport that bounds what strangers may hold, if it has a
        method of this name.
        """
        tell = getattr(self.transport, "trusted", None)
        if tell is not None and not self._over:
            tell()

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or lose it."""
        if self._over:
            return
        if not self._paused:
            self.sendMessage(data, isBinary=True)
        elif self._queued + len(data) <= QUEUE_MAX:
            self._queue.append(data)
            self._queued += len(data)

    def largest_datagram(self, address: Address) -> int:
        """TCP cuts messages as it likes; larger ones would only hold others up."""
        return ETHERNET_DATAGRAM

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send datagrams in this order, or lose them."""
        for data, address in datagrams:
            self.send(data, address)

    def close(self) -> Deferred[None]:
        """Close it: the QUIC inside has said what there was to say."""
        if not self._over:
            self._end()
            self.dropConnection(abort=False)
        closed: Deferred[None] = Deferred()
        self._closed.addCallback(closed.callback)
        return closed

    def message(self, payload: bytes, binary: bool) -> None:
        """One message came; our own peers send no text."""
        if not binary:
            self.close()
        elif not self._over:
            self._received(payload, self._peer, self)

    def ended(self) -> bool:
        """The connection is gone; returns whether it had begun."""
        if self._begun:
            self._end()
            if not self._closed.called:
                self._closed.callback(None)
        return self._begun

    def _end(self) -> None:
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


def _address(address: IPv4Address | IPv6Address) -> Address:
    # A port that listens on IPv6 sees IPv4 as ::ffff:192.0.2.1, and link-local
    # addresses with an interface.
    host = ipaddress.ip_address(address.host.partition("%")[0])
    return (str(getattr(host, "ipv4_mapped", None) or host), address.port)


def _keep_kernel_queue_short(transport: Any) -> None:
    transport.setTcpNoDelay(True)
    option = getattr(sockets, "TCP_NOTSENT_LOWAT", None)
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    handle = transport.getHandle()
    if option is not None and isinstance(handle, sockets.socket):
        handle.setsockopt(sockets.IPPROTO_TCP, option, NOT_SENT_LOW)
