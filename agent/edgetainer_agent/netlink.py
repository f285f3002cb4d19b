"""Tells when the device's addresses or routes have changed (rtnetlink(7)).

A tunnel that waits for its keepalive to go unanswered loses ten seconds over a
change that the kernel announces at once.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

log = Logger()

#: Seconds from the first news to the call: an interface that comes up says so in a
#: dozen messages, and the address is of use only with its route.
SETTLE_S = 0.1

#: Bytes of one read; the kernel's messages are made to fit a page.
_READ = 65_536

#: Reads in a row before the reactor has its turn again.
_READS = 64

#: Multicast groups: RTMGRP_LINK, then those of addresses and routes, IPv4 and IPv6.
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400

#: RTM_NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE.
_NEWS = frozenset({16, 17, 20, 21, 24, 25})

#: struct nlmsghdr: length, type, flags, sequence number, port; host byte order.
_HEADER = struct.Struct("=IHHII")


def tells_of_change(data: bytes) -> bool:
    """Whether one of the netlink messages in `data` is about addresses or routes."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        if kind in _NEWS:
            return True
        if length < _HEADER.size:
            break  # not the kernel's; going on would not end
        offset += (length + 3) & ~3
    return False


def open_netlink() -> socket.socket:
    """A socket on which the kernel announces changes; OSError where it may not."""
    netlink = socket.socket(
        socket.AF_NETLINK,
        socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
        socket.NETLINK_ROUTE,
    )
    try:
        netlink.bind((0, _GROUPS))
    except OSError:
        netlink.close()
        raise
    return netlink


@implementer(IReadDescriptor)
class NetworkWatch:
    """Watches from `start` to `stop`.

    :param changed: called at most once each `SETTLE_S`, a moment after the first
        news. Whether they matter is for the one called to find out: a container
        that starts brings up an interface too.
    :param open_socket: as `open_netlink`.
    """

    def __init__(
        self,
        *,
        reactor: Any,
        changed: Callable[[], object],
        open_socket: Callable[[], socket.socket] = open_netlink,
    ) -> None:
        self._reactor = reactor
        self._changed = changed
        self._open_socket = open_socket
        self._socket: socket.socket | None = None
        self._settling: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to watch; where that is not allowed the agent goes on without."""
        try:
            self._socket = self._open_socket()
        except OSError as error:
            log.warn("changes of the network will be noticed late: {error}", error=error)
            return
        self._reactor.addReader(self)

    def stop(self) -> None:
        """Watch no more."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if self._socket is not None:
            self._reactor.removeReader(self)
            self._socket.close()
            self._socket = None

    # From the reactor (IReadDescriptor).

    def fileno(self) -> int:
        """The socket's number."""
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        """What Twisted's log calls this."""
        return "netlink"

    def doRead(self) -> None:
        """There is news."""
        assert self._socket is not None
        for _ in range(_READS):
            try:
                data, sender = self._socket.recvfrom(_READ)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                # More news than the socket holds: whatever they were, they were many.
                self._settle()
                return
            # Any process may write to us; the kernel's port is 0.
            if sender[0] == 0 and tells_of_change(data):
                self._settle()

    def connectionLost(self, reason: Failure) -> None:
        """Reading has failed; the reactor lets go of us."""
        log.warn("changes of the network will be noticed late: {why}", why=reason.value)
        self.stop()

    def _settle(self) -> None:
        if self._settling is None:
            self._settling = self._reactor.callLater(SETTLE_S, self._settled)

    def _settled(self) -> None:
        self._settling = None
        self._changed()
