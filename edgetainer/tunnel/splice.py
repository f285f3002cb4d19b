"""Joining two connections so that each end talks to the other.

The agent joins a channel and a container's port with it, its one user in
production; the gateway reads every byte that it passes on and pipes by itself.
What one side reads the other writes; a side that cannot write pauses the reading
of its partner, so nothing piles up here; the end of one direction is passed on
while the other direction goes on.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.tunnel.channel import abort


def splice() -> tuple[Half, Half]:
    """Two protocols to connect to the two transports, in either order.

    A protocol that already owns a transport joins too: it calls
    ``half.makeConnection(transport)`` and forwards its events.
    """
    left, right = Half(), Half()
    left._partner, right._partner = right, left
    return left, right


@implementer(IHalfCloseableProtocol)
class Half(Protocol):
    """One side of a splice.

    Whichever side connects first waits, with its reading paused, for the other.

    :ivar received: bytes read from this side so far.
    """

    _partner: Half

    def __init__(self) -> None:
        self.received = 0
        self._early = b""
        self._joined = False
        self._read_ended = False
        self._write_ended = False
        self._lost: Failure | None = None

    def connectionMade(self) -> None:
        partner = self._partner
        if partner._lost is not None:
            # It came and went before us; pass on what it said, then its end.
            self._write(partner._early)
            self._finish(partner._lost)
        elif not partner.connected:
            self._producer().pauseProducing()
        else:
            self._join()
            partner._join()
            partner._replay()
            self._replay()

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        if self._joined:
            self._partner._write(data)
        else:
            # Only what was under way when reading was paused.
            self._early += data

    def readConnectionLost(self) -> None:
        self._read_ended = True
        if self._joined:
            self._partner._end_writing()
            self._close_if_done()

    def writeConnectionLost(self) -> None:
        self._close_if_done()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        if self._partner.connected:
            self._partner._finish(reason)

    def _join(self) -> None:
        self._joined = True
        # Our transport, when full, pauses the partner's reading.
        transport: Any = self.transport
        transport.registerProducer(self._partner.transport, True)

    def _replay(self) -> None:
        early, self._early = self._early, b""
        self._partner._write(early)
        if self._read_ended:
            self.readConnectionLost()
        if self._lost is None:
            self._producer().resumeProducing()

    def _write(self, data: bytes) -> None:
        if data and self._lost is None and not self._write_ended:
            cast(ITransport, self.transport).write(data)

    def _end_writing(self) -> None:
        """The partner has read its end: pass it on as the end of our writing."""
        if self._lost is not None or self._write_ended:
            return
        self._write_ended = True
        transport: Any = self.transport
        self._unregister()
        if hasattr(transport, "getPeerCertificate") or not hasattr(
            transport, "loseWriteConnection"
        ):
            # TLS in Twisted cannot end one direction alone; its wrapper would
            # pass the call on to the TCP connection below, past the last record.
            transport.loseConnection()
        else:
            transport.loseWriteConnection()
        self._close_if_done()

    def _close_if_done(self) -> None:
        # Twisted's TCP transports stay open after two half-closes.
        if self._read_ended and self._write_ended and self._lost is None:
            cast(ITransport, self.transport).loseConnection()

    def _finish(self, reason: Failure) -> None:
        """The partner is gone: flush and close, or abort as it was aborted."""
        if self._lost is not None:
            return
        self._unregister()
        if isinstance(reason.value, ConnectionDone):
            cast(ITransport, self.transport).loseConnection()
        else:
            abort(cast(ITransport, self.transport))

    def _unregister(self) -> None:
        if self._joined:
            # A transport keeps itself open for its producer's sake.
            transport: Any = self.transport
            transport.unregisterProducer()

    def _producer(self) -> Any:
        return self.transport
