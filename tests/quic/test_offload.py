"""Which datagrams share a call, and how a buffer becomes datagrams again."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetainer.quic.carriers import Address
from edgetainer.quic.offload import (
    MAX_PAYLOAD,
    MAX_SEGMENTS,
    SOL_UDP,
    UDP_GRO,
    Datagram,
    Offload,
    runs,
    segment_size,
    split,
)

HERE: Address = ("192.0.2.1", 1)
THERE: Address = ("192.0.2.2", 1)

some_datagrams = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 4), st.just(1200), st.just(40_000)).map(bytes),
        st.sampled_from([HERE, THERE]),
    ),
    max_size=200,
)


@given(some_datagrams)
def test_runs_keep_every_datagram_in_order_and_obey_the_kernel(datagrams: list[Datagram]) -> None:
    divided = list(runs(datagrams))
    assert [(data, address) for run, address in divided for data in run] == datagrams
    for run, _ in divided:
        assert len(run) <= MAX_SEGMENTS
        if len(run) > 1:
            *equal, last = map(len, run)
            assert set(equal) == {len(run[0])}
            assert 0 < last <= len(run[0])
            assert sum(map(len, run)) <= MAX_PAYLOAD


def sizes(datagrams: list[Datagram]) -> list[list[int]]:
    return [[len(data) for data in run] for run, _ in runs(datagrams)]


@pytest.mark.parametrize(
    ("datagrams", "expected"),
    [
        ([1200, 1200, 300, 1200], [[1200, 1200, 300], [1200]]),
        # A larger one, as a search for the path's MTU sends it, begins a run.
        ([1200, 1200, 1452, 1452, 40], [[1200, 1200], [1452, 1452, 40]]),
        ([100] * 130, [[100] * 64, [100] * 64, [100] * 2]),
        ([16_000] * 5, [[16_000] * 4, [16_000]]),
        ([], []),
    ],
)
def test_equal_sizes_are_one_run(datagrams: list[int], expected: list[list[int]]) -> None:
    assert sizes([(bytes(size), HERE) for size in datagrams]) == expected


def test_addresses_are_not_mixed() -> None:
    mixed = [(b"ab", HERE), (b"cd", THERE), (b"ef", THERE), (b"gh", HERE)]
    assert list(runs(mixed)) == [([b"ab"], HERE), ([b"cd", b"ef"], THERE), ([b"gh"], HERE)]


@given(st.binary(max_size=300), st.integers(-1, 400))
def test_a_buffer_is_cut_into_equal_pieces_and_a_rest(data: bytes, size: int) -> None:
    control = [(SOL_UDP, UDP_GRO, struct.pack("=i", size))]
    pieces = split(memoryview(data), control)
    assert b"".join(pieces) == data
    if 0 < size < len(data):
        assert all(len(piece) == size for piece in pieces[:-1])
        assert 0 < len(pieces[-1]) <= size
    else:
        assert pieces == [data], "one datagram, an empty one included"


def test_other_control_messages_mean_nothing() -> None:
    assert split(memoryview(b"abcd"), [(0, 8, b"\1\0\0\0")]) == [b"abcd"]


def test_the_kernel_cuts_and_joins_as_it_is_told() -> None:
    """The constants and the forms of both control messages, against the real kernel."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            offload = Offload.enable(sender)
            if not offload.segment:
                pytest.skip("no UDP_SEGMENT in this kernel")
            sender.sendmsg([b"aaa", b"bbb", b"c"], segment_size(3), 0, receiver.getsockname())
            assert [receiver.recv(10) for _ in range(3)] == [b"aaa", b"bbb", b"c"]
            if not Offload.enable(receiver).merge:
                pytest.skip("no UDP_GRO in this kernel")
            sender.sendmsg([b"aaa", b"bbb", b"c"], segment_size(3), 0, receiver.getsockname())
            data, control, _, _ = receiver.recvmsg(100, socket.CMSG_SPACE(4))
            assert data == b"aaabbbc"
            assert split(memoryview(data), control) == [b"aaa", b"bbb", b"c"]


def test_where_the_options_are_refused_there_is_no_offload() -> None:
    # A socket that is not UDP refuses them as an old kernel does.
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        assert Offload.enable(left) == Offload(segment=False, merge=False)
