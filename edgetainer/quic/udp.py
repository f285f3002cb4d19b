"""Datagrams on one UDP socket: our own reader and writer on the reactor.

Twisted's own hands over one datagram for each system call, and loses what a full
socket does not take. This one reads and writes many at once where the kernel can
(`offload`), tells when a batch is over so that connections answer once, and keeps
a bounded queue for a socket that is full for the moment.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFDSet, IReadWriteDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from edgetainer.quic.addresses import route_mtu
from edgetainer.quic.carriers import ETHERNET_DATAGRAM, Address, BatchDone, DatagramReceived
from edgetainer.quic.offload import (
    ANCILLARY,
    Datagram,
    Offload,
    runs,
    segment_size,
    split,
)
from edgetainer.quic.sockets import enlarge_buffers, open_socket

READ_DATAGRAMS = 64
"""Datagrams after which a turn of reading ends, a few milliseconds of work: timers
and other sockets wait no longer, and the kernel keeps the rest."""

QUEUE_BYTES = 1024 * 1024
"""Bytes that wait for a full socket: a tenth of a second at 80 Mbit/s. Beyond it
the oldest are dropped, which QUIC takes for the congestion that it is."""

SOCKET_BUFFER = 2 * 1024 * 1024
"""Bytes asked of the kernel for each direction: a busy reactor turn of 20 ms at
800 Mbit/s; the kernel's default drops bursts that the loop is late for."""

CANNOT_SEGMENT = frozenset(
    {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP}
)
"""What a send fails with where a socket, a route or a device cannot segment; some
of them also mean that the datagrams are too large."""


@implementer(IReadWriteDescriptor)
class UdpCarrier:
    """Datagrams on one UDP socket of the reactor.

    :param received: called with each datagram and where it came from.
    :param batch_done: called after the last of those that were read at once.
    :param make: opens the socket.
    :param offload: what the kernel is trusted with; None: whatever it can.
    :raises CannotListenError: when the address or the port cannot be had.
    """

    kind = "udp"
    _log = Logger()
    # Shared: it is filled and emptied within one call, on the reactor's thread.
    _buffer = memoryview(bytearray(65_535))

    def __init__(
        self,
        reactor: IReactorFDSet,
        received: DatagramReceived,
        *,
        interface: str,
        port: int,
        batch_done: BatchDone = lambda: None,
        make: Callable[[str, int], socket.socket] = open_socket,
        offload: Offload | None = None,
    ) -> None:
        self._reactor = reactor
        self._received = received
        self._batch_done = batch_done
        self._queue: deque[Datagram] = deque()
        self._queued = 0
        self._open = True
        self._socket = make(interface, port)
        name = self._socket.getsockname()
        self._address: Address = (name[0], name[1])
        got = enlarge_buffers(self._socket, SOCKET_BUFFER)
        if got < SOCKET_BUFFER:
            self._log.info(
                "the system allows UDP buffers of {got} bytes, less than the {wanted} that busy "
                "links want (net.core.rmem_max and wmem_max)",
                got=got,
                wanted=SOCKET_BUFFER,
            )
        self._offload = offload or Offload.enable(self._socket)
        reactor.addReader(self)

    @property
    def address(self) -> Address:
        """The local address; the port is the real one when 0 was asked for."""
        return self._address

    @property
    def segments(self) -> bool:
        """Whether runs of datagrams leave in one call (UDP_SEGMENT)."""
        return self._offload.segment

    @property
    def queued(self) -> int:
        """Bytes that wait for the socket to take them."""
        return self._queued

    def largest_datagram(self, address: Address) -> int:
        """Bytes that the route to `address` takes, as far as this host knows."""
        mtu = route_mtu(*address)
        headers = (40 if ":" in address[0] else 20) + 8
        # A larger MTU here (loopback, jumbo frames) may hold all the way; an
        # Ethernet's 1,500 often shrink somewhere.
        return mtu - headers if mtu > 1500 else min(mtu - headers, ETHERNET_DATAGRAM)

    # Sending.

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram; losing it silently is allowed."""
        self.send_many([(data, address)])

    def send_many(self, datagrams: Sequence[Datagram]) -> None:
        """Send datagrams in this order; what a full socket does not take waits."""
        if not self._open:
            return
        if self._queue:
            self._enqueue(datagrams)
            return
        left = self._transmit(datagrams)
        if left:
            self._enqueue(left)
            self._reactor.addWriter(self)

    def _transmit(self, datagrams: Sequence[Datagram]) -> Sequence[Datagram]:
        """Send until the socket is full; return those that it did not take."""
        sent = 0
        for run, address in runs(datagrams):
            taken = self._send_run(run, address)
            sent += taken
            if taken < len(run):
                return datagrams[sent:]
        return ()

    def _send_run(self, run: list[bytes], address: Address) -> int:
        """Send one run; return how many are done with, by being sent or lost."""
        if len(run) == 1 or not self._offload.segment:
            return self._send_singly(run, address)
        try:
            self._socket.sendmsg(run, segment_size(len(run[0])), 0, address)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno not in CANNOT_SEGMENT:
                self._lost(error, address)
                return len(run)
            return self._without_segments(run, address, error)
        return len(run)

    def _without_segments(self, run: list[bytes], address: Address, error: OSError) -> int:
        # Was it the segmenting, or are the datagrams too large? Try one.
        try:
            self._socket.sendto(run[0], address)
        except BlockingIOError:
            return 0
        except OSError as single:
            self._lost(single, address)
        else:
            self._log.info("sending without segmentation offload: {reason}", reason=error)
            self._offload = Offload(segment=False, merge=self._offload.merge)
        return 1 + self._send_singly(run[1:], address)

    def _send_singly(self, run: list[bytes], address: Address) -> int:
        for done, data in enumerate(run):
            try:
                self._socket.sendto(data, address)
            except BlockingIOError:
                return done
            except OSError as error:
                self._lost(error, address)
        return len(run)

    def _lost(self, error: OSError, address: Address) -> None:
        # The network is away or its packets are small: to QUIC that is packet loss;
        # it will send again, and notice a path that takes small ones only (`mtu`).
        self._log.debug("datagram to {address} lost: {reason}", address=address, reason=error)

    def _enqueue(self, datagrams: Sequence[Datagram]) -> None:
        self._queue.extend(datagrams)
        self._queued += sum(len(data) for data, _ in datagrams)
        while self._queued > QUEUE_BYTES:
            data, _ = self._queue.popleft()
            self._queued -= len(data)

    # IReadWriteDescriptor: called by the reactor.

    def fileno(self) -> int:
        """The socket's number; -1 once it is closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """What the log calls it."""
        return "UDP"

    def doRead(self) -> None:
        """Hand on what has arrived, up to a bound, and say that this was all."""
        read = 0
        while read < READ_DATAGRAMS and self._open:
            try:
                length, control, _, source = self._socket.recvmsg_into([self._buffer], ANCILLARY)
            except BlockingIOError:
                break
            except OSError as error:
                self._log.debug("reading failed: {reason}", reason=error)
                break
            # IPv6 adds a flow and a scope; the scope is in the host already.
            address = source if len(source) == 2 else source[:2]
            datagrams = split(self._buffer[:length], control)
            read += len(datagrams)
            for data in datagrams:
                try:
                    self._received(data, address)
                except Exception:
                    # A mistake of ours about one datagram; the reactor would close
                    # the socket for it.
                    self._log.failure("a datagram of {address} was not taken", address=address)
        try:
            self._batch_done()
        except Exception:
            self._log.failure("the end of a batch was not taken well")

    def doWrite(self) -> None:
        """The socket has room again."""
        waiting, self._queue = self._queue, deque()
        self._queued = 0
        left = self._transmit(list(waiting))
        if left:
            self._enqueue(left)
        else:
            self._reactor.removeWriter(self)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives the socket up: it stops, or the socket is broken."""
        self.close()

    def close(self) -> Deferred[None]:
        """Close the socket; fires when its port is free, which is at once."""
        if self._open:
            self._open = False
            self._queue.clear()
            self._queued = 0
            self._reactor.removeReader(self)
            self._reactor.removeWriter(self)
            self._socket.close()
        return succeed(None)
