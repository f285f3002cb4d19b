"""Many datagrams in one system call: UDP segmentation and receive offload.

Linux can take one long buffer and cut it into datagrams of equal size (generic
segmentation offload, UDP_SEGMENT, since 4.18), and hand datagrams of one sender
over as one buffer with their size beside it (generic receive offload, UDP_GRO,
since 5.0); see udp(7). A packet's way through the kernel then costs a fraction.
Here is what both need besides a socket: which datagrams may share a call, and how
a buffer is cut.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgetainer.quic.carriers import Address
from edgetainer.quic.sockets import try_option

SOL_UDP = socket.IPPROTO_UDP
UDP_SEGMENT = 103  # linux/udp.h; Python's socket module has no names for these two.
UDP_GRO = 104

MAX_SEGMENTS = 64
"""Datagrams in one call: UDP_MAX_SEGMENTS of Linux before 6.9."""

MAX_PAYLOAD = 65_507
"""Bytes in one call: the largest UDP payload in an IPv4 packet."""

ANCILLARY = socket.CMSG_SPACE(4)
"""Bytes of room for the one control message that UDP_GRO adds: an int."""

Datagram = tuple[bytes, Address]
ControlMessages = Sequence[tuple[int, int, bytes]]


@dataclass(frozen=True)
class Offload:
    """What the kernel under a socket can do.

    :param segment: cut what is sent (UDP_SEGMENT).
    :param merge: join what is received (UDP_GRO).
    """

    segment: bool
    merge: bool

    @classmethod
    def enable(cls, sock: socket.socket) -> Offload:
        """Find out by asking; receive offload is on from here where there is any.

        Kernels and sandboxes without them refuse the option, and would ignore the
        control message of a send.
        """
        return cls(
            segment=try_option(sock, SOL_UDP, UDP_SEGMENT, 0),
            merge=try_option(sock, SOL_UDP, UDP_GRO, 1),
        )


def runs(datagrams: Sequence[Datagram]) -> Iterator[tuple[list[bytes], Address]]:
    """Divide datagrams into those that one call can send, in their order.

    A run has one address and one size; its last datagram may be shorter.
    """
    count = len(datagrams)
    position = 0
    while position < count:
        data, address = datagrams[position]
        size = length = total = len(data)
        run = [data]
        position += 1
        most = min(count, position + MAX_SEGMENTS - 1)
        while position < most and length == size > 0:
            data, to = datagrams[position]
            length = len(data)
            total += length
            if length > size or not length or total > MAX_PAYLOAD or to != address:
                break
            run.append(data)
            position += 1
        yield run, address


def segment_size(size: int) -> ControlMessages:
    """Tell a send to cut its buffer into datagrams of `size` bytes."""
    return [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))]


def split(buffer: memoryview, control: ControlMessages) -> list[bytes]:
    """Copy the datagrams out of a buffer that one receive filled."""
    for level, kind, value in control:
        if level == SOL_UDP and kind == UDP_GRO:
            (size,) = struct.unpack_from("=i", value)
            if 0 < size < len(buffer):
                return [
                    bytes(buffer[start : start + size]) for start in range(0, len(buffer), size)
                ]
    return [bytes(buffer)]
