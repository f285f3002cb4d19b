"""A QUIC stream as an ordinary Twisted transport.

Protocols written for TCP run on it unchanged. Reading: bytes handed to
`dataReceived` count as taken; while the protocol is paused they wait here, at
most one stream window, and the peer gets no credit. Writing: bytes that were
never sent pause the registered producer (see `outflow`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IProducer,
    IProtocol,
    IPushProducer,
    ITransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.quic.carriers import twisted_address
from edgetainer.quic.codes import H3_NO_ERROR, WEBTRANSPORT_APPLICATION_ERROR
from edgetainer.quic.errors import StreamReset, failure
from edgetainer.quic.outflow import Outflow
from edgetainer.quic.schedule import Priority

if TYPE_CHECKING:
    from edgetainer.quic.driver import Driver

DELIVERY = 64 * 1024
"""Bytes handed over at once, so that a protocol can pause before it has everything:
a hole that is filled lets a whole window go on, and so does resuming."""


@implementer(ITransport, IConsumer, IPushProducer)
class QuicStreamTransport:
    """One bidirectional stream, seen from one end.

    :param driver: the connection that the stream belongs to.
    :param stream_id: its id (RFC 9000 section 2.1).
    :param ended: called once when both directions are over.
    """

    disconnecting = False
    _log = Logger()

    def __init__(
        self, driver: Driver, stream_id: int, ended: Callable[[QuicStreamTransport], None]
    ) -> None:
        self.driver = driver
        self.stream_id = stream_id
        self._ended = ended
        self._protocol: IProtocol | None = None
        self._outflow = Outflow(driver, stream_id, failed=self._failed)
        self._pending = bytearray()
        self._paused = True
        self._delivering = False
        self._fin_received = False
        self._read_over = False
        self._write_ending = False
        self._write_over = False
        self._aborted = False
        self._lost = False

    def attach(self, protocol: IProtocol) -> None:
        """Connect the protocol; bytes that came before it are delivered soon."""
        self._protocol = protocol
        self._paused = False
        self._guard(lambda: protocol.makeConnection(self))
        if self._pending or self._fin_received:
            self._deliver_soon()

    # Called by the connection.

    def data_received(self, data: bytes, fin: bool) -> None:
        """Bytes arrived in order; each is consumed exactly once from here on."""
        if fin:
            self._fin_received = True
        for start in range(0, len(data), DELIVERY):
            self._take(data[start : start + DELIVERY])
        if self._fin_received:
            self._end_reading()

    def reset_received(self, code: int) -> None:
        """The peer gave up sending; nothing more can be read."""
        self._lose(failure(StreamReset(code)), code=WEBTRANSPORT_APPLICATION_ERROR)

    def stop_received(self) -> None:
        """The peer reads no more. What it sent before may still be on its way."""
        if self._lost or self._write_over:
            return
        self._write_over = True
        self._outflow.stop()
        if self._read_over or self.disconnecting:
            self._lose(failure(ConnectionDone()), code=H3_NO_ERROR)
        elif IHalfCloseableProtocol.providedBy(self._protocol):
            self._guard(IHalfCloseableProtocol(self._protocol).writeConnectionLost)

    def connection_lost(self, reason: Failure) -> None:
        """The whole connection is over; what arrived whole is still delivered."""
        if self._fin_received and self._pending and self._protocol is not None:
            self._write_over = True
            self._outflow.stop()
            return
        self._lose(reason, code=H3_NO_ERROR)

    # Reading.

    def pauseProducing(self) -> None:
        """Deliver nothing until `resumeProducing`; the peer is soon held back."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Deliver again, beginning with what waits."""
        if self._protocol is None or self._lost or not self._paused:
            return
        self._paused = False
        self._deliver_soon()

    def stopProducing(self) -> None:
        """Read no more: the same as `loseConnection`, as for TCP."""
        self.loseConnection()

    def _deliver_soon(self) -> None:
        # Never from within the caller: it may be in the middle of something.
        self.driver.reactor.callLater(0, self._deliver)

    def _deliver(self) -> None:
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._pending and not self._paused and not self._lost:
                data = bytes(self._pending[:DELIVERY])
                del self._pending[:DELIVERY]
                self._release(len(data))
                self._hand_over(data)
        finally:
            self._delivering = False
        self._end_reading()

    def _take(self, data: bytes) -> None:
        if self._lost or self._read_over:
            self._consume(len(data))
        elif self._paused or self._delivering or self._pending:
            self._pending += data
            self.driver.quic.hold(len(data), now=self.driver.reactor.seconds())
        else:
            self._hand_over(data)

    def _hand_over(self, data: bytes) -> None:
        protocol = self._protocol
        assert protocol is not None
        try:
            protocol.dataReceived(data)
        except Exception as exc:
            self._at_fault(exc)
        self._consume(len(data))

    def _consume(self, count: int) -> None:
        self.driver.quic.consume(self.stream_id, count, now=self.driver.reactor.seconds())
        self.driver.transmit_soon()

    def _release(self, count: int) -> None:
        self.driver.quic.hold(-count, now=self.driver.reactor.seconds())

    def _end_reading(self) -> None:
        """The peer's FIN, once everything before it was delivered."""
        if not self._fin_received or self._pending or self._read_over or self._lost:
            return
        if self._protocol is None or self._paused:
            return
        self._read_over = True
        if self._write_over:
            self._lose(failure(ConnectionDone()), code=H3_NO_ERROR)
        elif IHalfCloseableProtocol.providedBy(self._protocol):
            self._guard(IHalfCloseableProtocol(self._protocol).readConnectionLost)
        else:
            # As for TCP: the end of reading is the end. What was written is
            # still sent, then FIN.
            self._outflow.stop()
            self._send_fin()
            self._lose(failure(ConnectionDone()), code=H3_NO_ERROR)

    # Writing.

    def set_priority(self, priority: Priority) -> None:
        """Say how urgent what is written here is, beside the connection's other streams."""
        self.driver.quic.set_priority(self.stream_id, priority)

    def write(self, data: bytes) -> None:
        """Send bytes; ignored once the writing side was closed, as for TCP."""
        if self._write_over or (self._write_ending and not self._outflow.has_producer):
            return
        if data and self.driver.quic.can_send(self.stream_id):
            self.driver.quic.send_stream_data(self.stream_id, bytes(data))
            self._outflow.written()
            self.driver.transmit_soon()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces at once."""
        self.write(b"".join(data))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Let a producer write, paused while too much is unsent."""
        if self._write_over or self._lost:
            producer.stopProducing()
            return
        self._outflow.register(producer, streaming)

    def unregisterProducer(self) -> None:
        """The producer has written everything."""
        self._outflow.unregister()
        if self._write_ending:
            self._finish_writing()

    def loseWriteConnection(self) -> None:
        """Send what was written and FIN; go on reading."""
        if self._write_ending or self._lost:
            return
        self._write_ending = True
        self._finish_writing()

    def loseConnection(self) -> None:
        """Send what was written and FIN, then close."""
        if self.disconnecting or self._lost:
            return
        self.disconnecting = True
        self._write_ending = True
        self._finish_writing()

    def abortConnection(self) -> None:
        """Drop everything at once, and tell the peer to do the same."""
        if self._lost or self._aborted:
            return
        self._aborted = True
        self.driver.quic.abandon(
            self.stream_id, WEBTRANSPORT_APPLICATION_ERROR, reading=True, writing=True
        )
        self.driver.transmit_soon()
        self._write_over = self._read_over = True
        self._drop_pending()
        self.driver.reactor.callLater(0, self._lose, failure(ConnectionAborted()), code=H3_NO_ERROR)

    def _finish_writing(self) -> None:
        if self._outflow.has_producer:
            return  # It has more to write; `unregisterProducer` comes back here.
        self._send_fin()
        self.driver.when_flushed(self.stream_id, self._flushed)

    def _send_fin(self) -> None:
        if self.driver.quic.can_send(self.stream_id):
            self.driver.quic.send_stream_data(self.stream_id, b"", end_stream=True)
            self.driver.transmit_soon()

    def _flushed(self) -> None:
        if self._lost:
            return
        already, self._write_over = self._write_over, True
        if self.disconnecting or self._read_over:
            self._lose(failure(ConnectionDone()), code=H3_NO_ERROR)
        elif not already and IHalfCloseableProtocol.providedBy(self._protocol):
            self._guard(IHalfCloseableProtocol(self._protocol).writeConnectionLost)

    # The end.

    def _lose(self, reason: Failure, *, code: int) -> None:
        if self._lost:
            return
        self._lost = True
        self._write_over = True
        self._drop_pending()
        self._outflow.stop()
        self._abandon(code)
        self._ended(self)
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            self._guard(lambda: protocol.connectionLost(reason))

    def _abandon(self, code: int) -> None:
        """Stop whatever is not finished: what was sent with FIN still arrives."""
        quic = self.driver.quic
        unfinished = quic.can_send(self.stream_id)
        quic.abandon(self.stream_id, code, reading=not self._fin_received, writing=unfinished)
        self.driver.transmit_soon()

    def _drop_pending(self) -> None:
        count = len(self._pending)
        if count:
            self._pending.clear()
            self._release(count)
            self._consume(count)

    def _guard(self, call: Callable[[], object]) -> None:
        """Run the protocol's code; its mistakes cost it this stream only."""
        try:
            call()
        except Exception as exc:
            self._at_fault(exc)

    def _at_fault(self, exc: Exception) -> None:
        """The protocol raised this; called where it was caught."""
        self._log.failure("the protocol on stream {id} failed", id=self.stream_id)
        self._failed(failure(exc))

    def _failed(self, reason: Failure) -> None:
        """Our own side made a mistake; nobody else pays for it."""
        self._lose(reason, code=WEBTRANSPORT_APPLICATION_ERROR)

    # Addresses.

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The peer's address; its type is UDP."""
        return twisted_address("UDP", self.driver.peer)

    def getHost(self) -> IPv4Address | IPv6Address:
        """Our own address; its type is UDP."""
        return twisted_address("UDP", self.driver.carrier.address)
