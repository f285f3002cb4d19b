from __future__ import annotations

import random

import pytest

from edgetainer.tunnel.profiles import Watch, watch_for
from edgetainer.tunnel.silence import SilenceTable

STANDARD = Watch(ping_after=11, limit=14)


class Room:
    """A table, a time and what was last heard of whom."""

    def __init__(self) -> None:
        self.table: SilenceTable[str] = SilenceTable()
        self.heard: dict[str, float] = {}

    def enter(self, key: str, now: float, watch: Watch = STANDARD) -> None:
        self.heard[key] = now
        self.table.watch(key, now, watch)

    def turn(self, now: float) -> list[tuple[str, bool]]:
        return [(one.key, one.give_up) for one in self.table.turn(now, self.heard.__getitem__)]


def test_one_who_says_nothing_is_pinged_and_given_up() -> None:
    room = Room()
    room.enter("a", 100.0)
    assert room.table.due() == 111.0
    assert room.turn(110.9) == []
    assert room.turn(111.0) == [("a", False)]
    assert room.table.due() == 114.0
    assert room.turn(113.9) == []
    assert room.turn(114.0) == [("a", True)]
    assert room.table.due() is None
    assert len(room.table) == 0


def test_one_who_speaks_is_left_alone() -> None:
    room = Room()
    room.enter("a", 0.0)
    for second in range(0, 100, 10):
        room.heard["a"] = float(second)
        assert room.turn(second + 9.9) == []


def test_an_answer_to_the_ping_starts_anew() -> None:
    room = Room()
    room.enter("a", 0.0)
    assert room.turn(11.0) == [("a", False)]
    room.heard["a"] = 11.25
    assert room.turn(14.0) == []
    assert room.turn(22.25) == [("a", False)]
    assert room.turn(25.25) == [("a", True)]


def test_nobody_is_given_up_without_a_ping_and_time_to_answer() -> None:
    room = Room()
    room.enter("a", 0.0)
    assert room.turn(3_600.0) == [("a", False)]
    assert room.turn(3_602.9) == []
    assert room.turn(3_603.0) == [("a", True)]


def test_those_who_left_or_came_anew_are_not_confused() -> None:
    room = Room()
    room.enter("a", 0.0)
    room.table.forget("a")
    room.table.forget("never came")
    assert room.table.due() is None
    room.enter("a", 5.0)
    assert room.turn(15.9) == []
    assert room.turn(16.0) == [("a", False)]


def test_each_has_a_watch_of_its_own() -> None:
    room = Room()
    room.enter("metered", 0.0, watch_for(100.0))
    room.enter("standard", 0.0, STANDARD)
    assert room.turn(11.0) == [("standard", False)]
    assert room.turn(14.0) == [("standard", True)]
    assert room.turn(99.9) == []
    assert room.turn(100.0) == [("metered", False)]
    assert room.turn(202.9) == []
    assert room.turn(203.0) == [("metered", True)]


def test_a_watch_may_be_changed_to_a_shorter_and_to_a_longer_one() -> None:
    room = Room()
    room.enter("a", 0.0, watch_for(100.0))
    room.heard["a"] = 40.0
    room.table.change("a", 40.0, watch_for(25.0))
    assert room.table.due() == 65.0
    assert room.turn(65.0) == [("a", False)]
    room.heard["a"] = 66.0
    room.table.change("a", 66.0, watch_for(200.0))
    assert room.turn(200.0) == []
    assert room.turn(266.0) == [("a", False)]
    room.table.change("nobody", 266.0, STANDARD)
    assert len(room.table) == 1


def test_one_who_changes_its_watch_all_the_time_fills_no_memory() -> None:
    room = Room()
    room.enter("a", 0.0, watch_for(300.0))
    for tick in range(100_000):
        now = tick / 100
        room.heard["a"] = now
        room.table.change("a", now, watch_for(10.0 if tick % 2 else 300.0))
        if tick % 100 == 0:
            assert room.turn(now) == []
    assert len(room.table._heap) <= 1 + 300 / 10


@pytest.mark.parametrize("seed", range(3))
def test_many_at_random_are_given_up_exactly_when_they_were_silent(seed: int) -> None:
    chance, room, gone = random.Random(seed), Room(), {}
    speaks_at = {f"d{n}": n % 100 for n in range(200)}
    falls_silent = {f"d{n}": chance.uniform(0, 100) for n in range(200)}
    for key in falls_silent:
        room.enter(key, 0.0)
    for tick in range(1, 1_300):
        now = tick / 10
        for key, end in falls_silent.items():
            if now <= end and tick % 100 == speaks_at[key]:
                room.heard[key] = now
        for key, give_up in room.turn(now):
            if give_up:
                assert key not in gone
                gone[key] = now
    assert set(gone) == set(falls_silent)
    for key, at in gone.items():
        assert at - room.heard[key] == pytest.approx(14.05, abs=0.1)
