"""Capsules of the CONNECT stream."""

from __future__ import annotations

from aioquic.buffer import encode_uint_var
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetainer.quic.capsules import MAX_REASON, CapsuleReader, close_capsule


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.text(max_size=50), st.integers(1, 7))
def test_a_closing_capsule_is_read_in_whatever_pieces(code: int, reason: str, size: int) -> None:
    data = close_capsule(code, reason)
    reader = CapsuleReader()
    results = [reader.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert results[-1] == (code, reason)
    assert set(results[:-1]) <= {None}


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=400))
def test_noise_is_never_kept(noise: bytes) -> None:
    reader = CapsuleReader()
    reader.feed(noise)
    assert len(reader._buffer) <= MAX_REASON + 20


def test_unknown_and_huge_capsules_are_skipped() -> None:
    reader = CapsuleReader()
    assert reader.feed(encode_uint_var(99) + encode_uint_var(1 << 24)) is None
    for _ in range(1 << 4):
        assert reader.feed(bytes(1 << 20)) is None
    assert reader._buffer == b""
    assert reader.feed(close_capsule(1, "x")) == (1, "x")


def test_a_reason_is_cut() -> None:
    reader = CapsuleReader()
    result = reader.feed(close_capsule(1, "é" * 5000))
    assert result is not None
    assert len(result[1]) <= MAX_REASON
