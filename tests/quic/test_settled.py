"""Each packet number is new once, whatever ranges name it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgetainer.quic.settled import Settled

ranges = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda x: (x[0], x[0] + x[1]))


@given(st.lists(ranges, max_size=40))
def test_what_is_new_is_named_once(added: list[tuple[int, int]]) -> None:
    settled = Settled()
    known: set[int] = set()
    for start, stop in added:
        new = [number for piece in settled.add(start, stop) for number in piece]
        assert new == sorted(set(range(start, stop)) - known)
        known |= set(new)
    gaps = [n for n in known if n + 1 not in known]
    assert len(settled) == len(gaps), "runs that touch are one"


def test_a_range_of_everything_costs_nothing_the_second_time() -> None:
    settled = Settled()
    settled.add(0, 2**62)
    assert settled.add(0, 2**62) == []
    assert len(settled) == 1
