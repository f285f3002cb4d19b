"""Frames that carry nothing, in numbers: what they may cost."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest
from aioquic import tls
from aioquic.buffer import encode_uint_var
from aioquic.quic.connection import QuicConnectionError, QuicReceiveContext
from aioquic.quic.packet import QuicErrorCode

from edgetainer.quic.codes import H3_EXCESSIVE_LOAD
from edgetainer.quic.connection import Connection
from edgetainer.quic.receiving import (
    FRAMES_PER_PACKET,
    IDLE_FRAMES,
    MAX_CRYPTO,
    RESETS,
    RESETS_RATE,
)
from edgetainer.quic.stream_state import MAX_HOLES, MAX_HOLES_OF_ALL
from tests.quic.pair import Pair, Recorder

number = encode_uint_var


def deliver(quic: Connection, plain: bytes, *, now: float = 0.0) -> None:
    """Let the connection handle frames, as if they had come in one packet."""
    context = QuicReceiveContext(
        epoch=tls.Epoch.ONE_RTT,
        host_cid=quic.host_cid,
        network_path=quic._network_paths[0],
        quic_logger_frames=[],
        time=now,
        version=1,
    )
    quic._payload_received(context, plain)


@pytest.fixture
def quic() -> Connection:
    pair = Pair()
    pair.network.pass_time(1)
    connection: Connection = pair.server_connection.driver.quic
    return connection


def frames_until_closed(quic: Connection, frame: Callable[[int], bytes]) -> int:
    """How many such frames, each in a packet, the connection puts up with."""
    taken = 0

    def flood() -> None:
        nonlocal taken
        for taken in range(3 * IDLE_FRAMES):
            deliver(quic, frame(taken))
            while quic.next_event() is not None:
                pass

    with pytest.raises(QuicConnectionError) as caught:
        flood()
    assert caught.value.error_code == H3_EXCESSIVE_LOAD
    assert caught.value.frame_type is None, "an error of the application, not of QUIC"
    return taken


def stream(flags: int, stream_id: int, offset: int, data: bytes) -> bytes:
    return number(0x08 | flags) + number(stream_id) + number(offset) + number(len(data)) + data


FLOODS: dict[str, Callable[[int], bytes]] = {
    "ping": lambda count: b"\x01",
    "path challenge": lambda count: b"\x1a" + bytes(8),
    "path response": lambda count: b"\x1b" + bytes(8),
    "max data": lambda count: b"\x10" + number(5),
    "max stream data": lambda count: b"\x11" + number(0) + number(5),
    "max streams": lambda count: b"\x12" + number(5),
    "max uni streams": lambda count: b"\x13" + number(1),
    "data blocked": lambda count: b"\x14" + number(5),
    "stream data blocked": lambda count: b"\x15" + number(0) + number(5),
    "streams blocked": lambda count: b"\x16" + number(5),
    "empty stream": lambda count: stream(6, 0, 0, b""),
    "crypto": lambda count: b"\x06" + number(0) + number(0),
    "datagram": lambda count: b"\x31\x03abc",
    "same id retired": lambda count: b"\x19" + number(1),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_ends_the_connection_and_leaves_nothing_behind(
    flood: str, quic: Connection
) -> None:
    count = frames_until_closed(quic, FLOODS[flood])
    assert IDLE_FRAMES * 0.9 < count <= IDLE_FRAMES
    assert len(quic._events) == 0
    assert len(quic._network_paths[0].remote_challenges) <= 32
    assert len(quic._host_cids) == 8


def test_resets_and_stops_of_what_is_reset_are_a_flood_too(quic: Connection) -> None:
    deliver(quic, stream(6, 4, 0, b"x"))
    reset = b"\x04" + number(4) + number(0) + number(1)
    stop = b"\x05" + number(4) + number(0)
    count = frames_until_closed(quic, lambda count: reset + stop)
    assert IDLE_FRAMES // 2 - 10 < count <= IDLE_FRAMES // 2


def test_frames_of_forgotten_streams_are_a_flood_too(quic: Connection) -> None:
    deliver(quic, stream(6, 4, 0, b"x"))
    del quic._streams[4]
    late = number(0x08 | 2) + number(4) + number(1) + b"x"
    assert IDLE_FRAMES - 10 < frames_until_closed(quic, lambda count: late) <= IDLE_FRAMES


def test_crumbs_are_a_flood_when_hundreds_fill_each_packet(quic: Connection) -> None:
    crumbs = 150

    def packet(count: int) -> bytes:
        return b"".join(stream(6, 4, count * crumbs + at, b"x") for at in range(crumbs))

    assert frames_until_closed(quic, packet) == IDLE_FRAMES // (crumbs - FRAMES_PER_PACKET)


def test_honest_traffic_is_forgiven(quic: Connection) -> None:
    for second in range(1, 100):
        for _ in range(100):
            deliver(quic, b"\x01", now=float(second))
        deliver(quic, stream(6, 4, second - 1, b"x"), now=float(second))
        while quic.next_event() is not None:
            pass


def test_connection_ids_that_were_never_issued_cannot_be_retired(quic: Connection) -> None:
    newest = max(each.sequence_number for each in quic._host_cids)  # type: ignore[type-var]
    deliver(quic, b"\x19" + number(newest or 0))
    # In its place there is another one now, which the peer has not been told of.
    with pytest.raises(QuicConnectionError) as caught:
        deliver(quic, b"\x19" + number((newest or 0) + 1))
    assert caught.value.error_code == QuicErrorCode.PROTOCOL_VIOLATION


def test_a_handshake_has_an_end(quic: Connection) -> None:
    far = b"\x06" + number(MAX_CRYPTO) + number(1) + b"x"
    with pytest.raises(QuicConnectionError) as caught:
        deliver(quic, far)
    assert caught.value.error_code == QuicErrorCode.CRYPTO_BUFFER_EXCEEDED


def test_the_buffers_of_the_handshake_are_let_go(quic: Connection) -> None:
    assert sum(buffer.capacity for buffer in quic._crypto_buffers.values()) < 2_000


def test_an_idle_connection_is_small() -> None:
    """Traced memory of both ends together, once the handshake is over."""
    pair = Pair()
    sessions = []

    def connect() -> None:
        connection = pair.network.run(pair.network.connect())
        sessions.append(pair.network.run(connection.open_session("/tunnel")))

    connect()  # What is made once for all.
    pair.network.pass_time(5)
    gc.collect()
    tracemalloc.start()
    for _ in range(5):
        connect()
    pair.network.pass_time(5)
    gc.collect()
    traced, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{traced / 10 / 1024:.0f} KiB for each end of a connection")
    assert traced / 10 < 120 * 1024


def test_holes_in_one_stream_are_bounded(quic: Connection) -> None:
    for at in range(MAX_HOLES):
        deliver(quic, stream(6, 4, 2 * at + 1, b"x"))
    with pytest.raises(QuicConnectionError) as caught:
        deliver(quic, stream(6, 4, 2 * MAX_HOLES + 1, b"x"))
    assert caught.value.error_code == H3_EXCESSIVE_LOAD
    assert len(quic._streams[4].receiver._ranges) == MAX_HOLES + 1


def test_holes_in_all_streams_are_bounded_and_forgotten_when_filled(quic: Connection) -> None:
    big = bytes(20)
    for stream_id in range(4, 4 + 4 * 3, 4):
        for at in range(MAX_HOLES):
            deliver(quic, stream(6, stream_id, 40 * at + 20, big))
    assert quic._ledger.holes == 3 * MAX_HOLES
    # One is filled, one is reset.
    for at in range(MAX_HOLES):
        deliver(quic, stream(6, 4, 40 * at, big))
    assert quic._ledger.holes == 2 * MAX_HOLES
    deliver(quic, b"\x04" + number(8) + number(0) + number(40 * MAX_HOLES))
    assert quic._ledger.holes == MAX_HOLES
    for stream_id in range(100, 112, 4):
        for at in range(MAX_HOLES):
            deliver(quic, stream(6, stream_id, 40 * at + 20, big))
    with pytest.raises(QuicConnectionError):
        deliver(quic, stream(6, 112, 20, big))
    assert quic._ledger.holes == MAX_HOLES_OF_ALL + 1


def test_streams_that_are_opened_and_reset_come_back_slowly() -> None:
    pair = Pair()
    quic, peer = pair.server_connection.driver.quic, pair.client.driver.quic
    opened = 0

    def churn() -> None:
        nonlocal opened
        while peer.can_open_stream():
            stream_id = peer.get_next_available_stream_id()
            peer.send_stream_data(stream_id, b"\x00")
            peer.abandon(stream_id, 1, reading=True, writing=True)
            opened += 1
        pair.client.driver.transmit_soon()

    began = pair.network.clock.seconds()
    while pair.network.clock.seconds() < began + 20:
        churn()
        peer.send_ping(7)  # an attacker has something to say all the time
        pair.network.pass_time(0.05)
    assert quic._close_event is None, "that is no reason to hang up"
    limit = RESETS + 20 * RESETS_RATE + 256
    assert 0.7 * limit < opened <= limit
    # And everybody else goes on.
    writer, reader = Recorder(), Recorder()
    pair.channel(writer, reader)
    writer.transport.write(b"hello")
    pair.network.until(lambda: reader.data == b"hello")
