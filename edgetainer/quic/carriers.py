"""What carries QUIC datagrams.

Everything above speaks to a `Carrier`, so the same datagrams can travel by UDP
(`udp`) or by other means (in memory for tests) without anything above noticing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred

Address = tuple[str, int]
"""Host and port, as the carrier names its peers."""

DatagramReceived = Callable[[bytes, Address], None]
"""Called by a carrier with each datagram and where it came from."""

BatchDone = Callable[[], None]
"""Called by a carrier after the last of the datagrams that it had at once, so
that each connection among them answers once. A carrier that cannot tell leaves
it out: then the answers leave before the reactor sleeps."""


ETHERNET_DATAGRAM = 1452
"""Bytes that fit where Ethernet's frames do, with IPv6 and UDP around them. On the
way through the Internet larger ones have no prospect."""


class Carrier(Protocol):
    """Sends datagrams, and knows its own address."""

    @property
    def kind(self) -> str:
        """What carries them, in a word for people: "udp"."""

    @property
    def address(self) -> Address:
        """The local address."""

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram; losing it silently is allowed."""

    def send_many(self, datagrams: Sequence[tuple[bytes, Address]]) -> None:
        """Send datagrams in this order; losing some of them silently is allowed."""

    def largest_datagram(self, address: Address) -> int:
        """Bytes of the largest datagram to this address that is worth trying."""

    def close(self) -> Deferred[None]:
        """Stop sending and receiving; fires when the address is free again."""


class Route(NamedTuple):
    """How a peer is reached: where it is, and the carrier that leads there.

    It is what the state machine of a connection takes for an address, so that
    the same host over another carrier is another path to it.
    """

    address: Address
    carrier: Carrier


def twisted_address(kind: Literal["TCP", "UDP"], address: Address) -> IPv4Address | IPv6Address:
    """Twisted's form of an address."""
    host, port = address
    return (IPv6Address if ":" in host else IPv4Address)(kind, host, port)
