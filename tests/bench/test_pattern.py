"""The bytes of a bulk transfer betray every mistake."""

from __future__ import annotations

from bench import pattern


def test_pieces_join_over_the_period() -> None:
    size = pattern.PERIOD - 1
    stream = bytes(pattern.piece(0, size)) + bytes(pattern.piece(size, size))
    assert pattern.matches(0, stream[: pattern.PERIOD])
    assert pattern.matches(pattern.PERIOD - 10, stream[pattern.PERIOD - 10 : pattern.PERIOD + 10])


def test_a_lost_a_doubled_and_a_changed_byte_are_noticed() -> None:
    right = bytes(pattern.piece(1000, 500))
    assert pattern.matches(1000, right)
    assert not pattern.matches(1000, right[:100] + right[101:])
    assert not pattern.matches(1000, right[:100] + right[99:-1])
    assert not pattern.matches(1000, right[:100] + bytes([right[100] ^ 1]) + right[101:])
    assert not pattern.matches(1001, right)
