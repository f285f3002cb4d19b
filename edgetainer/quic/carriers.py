"""What carries QUIC datagrams: UDP.

Everything above speaks to a `Carrier`, so the same datagrams can travel by
other means (in memory for tests) without anything above noticing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IReactorUDP, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

Address = tuple[str, int]
"""Host and port, as the carrier names its peers."""

DatagramReceived = Callable[[bytes, Address], None]
"""Called by a carrier with each datagram and where it came from."""

BatchDone = Callable[[], None]
"""Called by a carrier after the last of the datagrams that it had at once, so
that each connection among them answers once. A carrier that cannot tell leaves
it out: then the answers leave before the reactor sleeps."""

RECEIVE_BUFFER = 2 * 1024 * 1024
"""Bytes asked of the kernel for each socket: a busy reactor turn of 20 ms at
800 Mbit/s; the kernel's default drops bursts that the loop is late for."""


class Carrier(Protocol):
    """Sends datagrams, and knows its own address."""

    @property
    def address(self) -> Address:
        """The local address."""

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram; losing it silently is allowed."""

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send datagrams in this order; losing some of them silently is allowed."""

    def close(self) -> Deferred[None]:
        """Stop sending and receiving; fires when the address is free again."""


class Route(NamedTuple):
    """How a peer is reached: where it is, and the carrier that leads there.

    It is what the state machine of a connection takes for an address, so that
    the same host over another carrier is another path to it.
    """

    address: Address
    carrier: Carrier


class UdpCarrier(DatagramProtocol):
    """Datagrams on one UDP socket of the reactor.

    :param received: called with each datagram and where it came from.
    """

    _log = Logger()
    transport: IUDPTransport

    def __init__(
        self, reactor: IReactorUDP, received: DatagramReceived, *, interface: str, port: int
    ) -> None:
        self._received = received
        self._port = reactor.listenUDP(port, self, interface=interface, maxPacketSize=65536)
        try:
            handle: socket.socket = self.transport.getHandle()  # type: ignore[attr-defined]
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        except OSError as exc:
            self._log.warn("receive buffer not enlarged: {reason}", reason=exc)

    @property
    def address(self) -> Address:
        """The local address; the port is the real one when 0 was asked for."""
        host = self._port.getHost()
        assert isinstance(host, IPv4Address | IPv6Address)
        return (host.host, host.port)

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        """Called by the reactor."""
        self._received(datagram, addr)

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram; a full socket or a missing route loses it."""
        try:
            self.transport.write(data, address)
        except (OSError, MessageLengthError) as exc:
            # The network is away, its queue is full or its packets are small:
            # to QUIC that is packet loss, and it will send again.
            self._log.debug("datagram to {address} lost: {reason}", address=address, reason=exc)

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send datagrams in this order."""
        for data, address in datagrams:
            self.send(data, address)

    def close(self) -> Deferred[None]:
        """Close the socket; fires when its port is free."""
        closing: Deferred[None] | None = self._port.stopListening()
        return succeed(None) if closing is None else closing


def kind_of(address: Address | None) -> str:
    """What carries datagrams to this address, in a word for people.

    An address that is not UDP's says so in its attribute `kind`.
    """
    return str(getattr(address, "kind", "udp"))


def twisted_address(kind: Literal["TCP", "UDP"], address: Address) -> IPv4Address | IPv6Address:
    """Twisted's form of an address."""
    host, port = address
    return (IPv6Address if ":" in host else IPv4Address)(kind, host, port)
