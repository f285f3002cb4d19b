"""What an authenticated device that misbehaves may send, and noise from strangers.

Each attack is a generator of packet payloads; `tests/faults` sends a few of each,
`bench.hostile` many.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

from tests.faults.hostile import crypto_frame, stream_frame, varint

MIB = 1024 * 1024
Attack = Callable[[random.Random], Iterator[bytes]]


def hole_at_zero(chance: random.Random) -> Iterator[bytes]:
    """One byte far into each stream, so that everything before it must be kept."""
    for number in itertools.count():
        stream_id = 4 * (number % 256)
        yield stream_frame(stream_id, 4000 - number // 256, b"x")


def deep_hole(chance: random.Random) -> Iterator[bytes]:
    """One stream, a byte at a time, ever further from its missing beginning."""
    for offset in itertools.count(1, 1500):
        yield stream_frame(0, min(offset, 200_000), b"x" * 1000)


def beyond_the_window(chance: random.Random) -> Iterator[bytes]:
    """Bytes where no credit was ever given."""
    while True:
        yield stream_frame(4, chance.randrange(64 * MIB, 1 << 60), b"x")


def final_sizes(chance: random.Random) -> Iterator[bytes]:
    """Streams whose end moves."""
    while True:
        stream_id = 4 * chance.randrange(64)
        yield stream_frame(stream_id, chance.randrange(1000), b"", fin=True)


def too_many_streams(chance: random.Random) -> Iterator[bytes]:
    """Streams beyond the limit."""
    for number in itertools.count(1000):
        yield stream_frame(4 * number, 0, b"x")


def rapid_reset(chance: random.Random) -> Iterator[bytes]:
    """Requests that are taken back at once (CVE-2023-44487's way)."""
    # HEADERS with an empty block, then RESET_STREAM.
    for number in itertools.count(1):
        stream_id = 4 * number
        yield (
            stream_frame(stream_id, 0, b"\x01\x02\x00\x00")
            + b"\x04" + varint(stream_id) + varint(0x10C) + varint(4)
        )  # fmt: skip


def slow_streams(chance: random.Random) -> Iterator[bytes]:
    """Many requests that never end, a byte at a time."""
    head = b"\x01\x80\x00\x40\x00" + b"x" * 100
    for number in itertools.count():
        stream_id = 4 * (number % 200)
        at = number // 200
        yield stream_frame(stream_id, at % len(head), head[at % len(head) :][:1])


def crypto_hole(chance: random.Random) -> Iterator[bytes]:
    """Handshake bytes after the handshake, with a hole before them."""
    for offset in itertools.count(1000, 1000):
        yield crypto_frame(min(offset, 400_000), b"x" * 1000)


def pings(chance: random.Random) -> Iterator[bytes]:
    """A PING in each packet; each asks for an answer."""
    while True:
        yield b"\x01" + bytes(chance.randrange(900))


def path_challenges(chance: random.Random) -> Iterator[bytes]:
    """Many challenges in each packet; each asks for an answer."""
    while True:
        yield b"".join(b"\x1a" + chance.randbytes(8) for _ in range(60))


def connection_ids(chance: random.Random) -> Iterator[bytes]:
    """Ever more connection ids, each retiring those before (CVE-2024-22189's way)."""
    for number in itertools.count(1):
        yield (
            b"\x18" + varint(number) + varint(number) + b"\x08" + chance.randbytes(8)
            + chance.randbytes(16)
        )  # fmt: skip


def retirements(chance: random.Random) -> Iterator[bytes]:
    """Connection ids given back as fast as they are issued."""
    for number in itertools.count():
        yield b"\x19" + varint(number)


def datagrams(chance: random.Random) -> Iterator[bytes]:
    """DATAGRAM frames, which nobody here reads."""
    while True:
        yield b"\x30" + chance.randbytes(1000)


def windows(chance: random.Random) -> Iterator[bytes]:
    """Credit for streams, for the connection, up and down."""
    while True:
        pairs = ((chance.randrange(1 << 62), chance.randrange(1 << 60)) for _ in range(40))
        yield b"".join(b"\x10" + varint(data) + b"\x12" + varint(many) for data, many in pairs)


def acknowledgements(chance: random.Random) -> Iterator[bytes]:
    """ACKs of what was never sent, in many ranges."""
    while True:
        ranges = b"".join(varint(chance.randrange(4)) * 2 for _ in range(60))
        largest = chance.choice([chance.randrange(1000), chance.randrange(1 << 60)])
        yield b"\x02" + varint(largest) + varint(0) + varint(60) + varint(0) + ranges


def stops(chance: random.Random) -> Iterator[bytes]:
    """STOP_SENDING and RESET_STREAM for streams of either side, there or not."""
    while True:
        stream_id = varint(chance.randrange(64))
        yield b"\x05" + stream_id + varint(0x100)
        yield b"\x04" + stream_id + varint(0x100) + varint(chance.randrange(10))


def blocked(chance: random.Random) -> Iterator[bytes]:
    """Complaints about limits."""
    while True:
        yield b"\x14" + varint(1) + b"\x15" + varint(4) + varint(1) + b"\x16" + varint(1)


def not_for_clients(chance: random.Random) -> Iterator[bytes]:
    """Frames that only a server may send."""
    while True:
        yield chance.choice([b"\x1e", b"\x07\x04abcd"])


def unknown_frames(chance: random.Random) -> Iterator[bytes]:
    """Frames of no known type, and frames cut short."""
    while True:
        yield varint(chance.randrange(0x40, 1 << 30)) + chance.randbytes(8)
        yield bytes([chance.randrange(1, 0x20)])


def settings(chance: random.Random) -> Iterator[bytes]:
    """HTTP/3 control and QPACK streams that never stop."""
    at = 0
    while True:
        data = b"\x21\x40\x40" + chance.randbytes(64)
        yield stream_frame(2, 40_000 + at, data)
        yield stream_frame(14, at, (b"\x02" if at == 0 else b"") + chance.randbytes(60))
        at += 61 if at == 0 else 60


def random_payloads(chance: random.Random) -> Iterator[bytes]:
    """Anything at all, well encrypted."""
    while True:
        yield chance.randbytes(chance.randrange(4, 1100))


ATTACKS: tuple[Attack, ...] = (
    hole_at_zero, deep_hole, beyond_the_window, final_sizes, too_many_streams, rapid_reset,
    slow_streams, crypto_hole, pings, path_challenges, connection_ids, retirements, datagrams,
    windows, acknowledgements, stops, blocked, not_for_clients, unknown_frames, settings,
    random_payloads,
)  # fmt: skip


def mutated(datagram: bytes, other: bytes, chance: random.Random) -> bytes:
    """A datagram with something wrong in it."""
    data = bytearray(datagram)
    kind = chance.randrange(6)
    if kind == 0:
        for _ in range(chance.randrange(1, 8)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == 1:
        # The head is where parsers live.
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(min(64, len(data)))] = chance.randrange(256)
    elif kind == 2:
        del data[chance.randrange(len(data)) :]
    elif kind == 3:
        at = chance.randrange(len(data))
        data[at:at] = chance.randbytes(chance.randrange(1, 64))
    elif kind == 4:
        at = chance.randrange(len(data))
        data[at:] = other[at:]
    else:
        data = bytearray(chance.randbytes(chance.randrange(1, 1500)))
        data[0] = datagram[0]
    return bytes(data)
