"""Does UDP reach a QUIC server from here? Asked without a connection.

A datagram that offers a version nobody speaks is answered with Version
Negotiation by every QUIC server, without state on its side (RFC 9000 section
6). That answers the question for 1,200 bytes each way at most, while the
connection that is in use stays where it is.
"""

from __future__ import annotations

import os

from aioquic._buffer import Buffer
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.packet import QuicPacketType, pull_quic_header
from twisted.internet.defer import Deferred, TimeoutError  # noqa: A004 - Twisted's name
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from edgetainer.quic.carriers import Address, Carrier

RESERVED_VERSION = 0x1A2A3A4A
"""Of the pattern that is kept for this (RFC 9000 section 15): nobody may speak it."""

FIXED_LONG_HEADER = 0xC0
"""First byte: long header, fixed bit (RFC 9000 section 17.2)."""

REPEAT_S = (0.0, 1.0, 3.0)
"""Seconds at which the question is sent: a lost one must not mean "blocked"."""


class Reachability:
    """One question to one server, on a carrier of its own.

    Wire `datagram_received` to the carrier, then call `ask`.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._ours, self._theirs = os.urandom(8), os.urandom(8)
        self._answered: Deferred[None] | None = None

    def ask(self, carrier: Carrier, address: Address, *, timeout: float) -> Deferred[bool]:
        """Fires with whether an answer came; cancellable.

        :param carrier: closed in the end.
        :param timeout: seconds.
        """
        return Deferred.fromCoroutine(self._ask(carrier, address, timeout))

    async def _ask(self, carrier: Carrier, address: Address, within: float) -> bool:
        packet = version_probe(destination=self._theirs, source=self._ours)
        calls: list[IDelayedCall] = [
            self._reactor.callLater(after, carrier.send, packet, address) for after in REPEAT_S
        ]
        self._answered = Deferred()
        try:
            await self._answered.addTimeout(within, self._reactor)
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._answered = None
            for call in calls:
                if call.active():
                    call.cancel()
            carrier.close()

    def datagram_received(self, data: bytes, address: Address) -> None:
        """One datagram from the carrier."""
        if self._answered is None:
            return
        try:
            header = pull_quic_header(Buffer(data=data), host_cid_length=len(self._ours))
        except ValueError:
            return
        if (
            header.packet_type is QuicPacketType.VERSION_NEGOTIATION
            and header.destination_cid == self._ours
            and header.source_cid == self._theirs
        ):
            self._answered.callback(None)


def version_probe(*, destination: bytes, source: bytes) -> bytes:
    """A datagram that only Version Negotiation answers, as long as an Initial must be."""
    head = bytes([FIXED_LONG_HEADER]) + RESERVED_VERSION.to_bytes(4, "big")
    for connection_id in (destination, source):
        head += bytes([len(connection_id)]) + connection_id
    return head + bytes(SMALLEST_MAX_DATAGRAM_SIZE - len(head))
