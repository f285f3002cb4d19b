"""UDP sockets as QUIC wants them: they never fragment, and hold a busy moment's packets."""

from __future__ import annotations

import socket

from twisted.internet.abstract import isIPv6Address
from twisted.internet.error import CannotListenError

# Linux's numbers, for which Python's socket module has no names.
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
IP_MTU_DISCOVER = 10
IPV6_MTU_DISCOVER = 23
PMTUDISC_PROBE = 3


def open_socket(interface: str, port: int) -> socket.socket:
    """A bound, non-blocking UDP socket that never fragments.

    "::" listens on IPv4 too; such peers have addresses like "::ffff:192.0.2.1".

    :raises CannotListenError: when the address or the port cannot be had.
    """
    family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if interface == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((interface, port))
    except OSError as error:
        sock.close()
        raise CannotListenError(interface, port, error) from error  # type: ignore[no-untyped-call]
    # Don't fragment, and don't guess sizes from ICMP, which anybody can forge: the
    # search for the path's MTU belongs to QUIC (RFC 9000 section 14.2.1).
    try_option(sock, socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
    if family == socket.AF_INET6:
        try_option(sock, socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
    return sock


def try_option(sock: socket.socket, level: int, option: int, value: int) -> bool:
    """Set an option of a socket; whether the system took it."""
    try:
        sock.setsockopt(level, option, value)
    except OSError:
        return False
    return True


def enlarge_buffers(sock: socket.socket, size: int) -> int:
    """Ask for buffers of `size` bytes; return what the smaller one became.

    Beyond the system's limit (net.core.rmem_max, wmem_max) only the administrator
    of the network may go.
    """
    got = size
    for option, force in (
        (socket.SO_RCVBUF, SO_RCVBUFFORCE),
        (socket.SO_SNDBUF, SO_SNDBUFFORCE),
    ):
        if not try_option(sock, socket.SOL_SOCKET, force, size):
            try_option(sock, socket.SOL_SOCKET, option, size)
        # Linux reports twice the size, the half for its own records.
        got = min(got, sock.getsockopt(socket.SOL_SOCKET, option) // 2)
    return got
