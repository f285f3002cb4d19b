"""A timer that is put off often, fires at its last time, and once."""

from __future__ import annotations

from twisted.internet.task import Clock

from edgetainer.quic.timer import FLOOR_S, Timer


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.fired: list[float] = []
        self.timer = Timer(self.clock, self.fired.append)  # type: ignore[arg-type]


def test_it_fires_at_the_last_time_that_was_set() -> None:
    world = World()
    for at in (1.0, 5.0, 3.0):
        world.timer.set(at)
    world.clock.pump([0.5] * 5)
    assert world.fired == []
    assert len(world.clock.getDelayedCalls()) == 1
    world.clock.pump([0.5] * 10)
    assert world.fired == [3.0]
    assert world.clock.getDelayedCalls() == []


def test_it_can_be_brought_forward_and_called_off() -> None:
    world = World()
    world.timer.set(5.0)
    world.timer.set(1.0)
    world.clock.advance(1.0)
    assert world.fired == [1.0]
    world.timer.set(9.0)
    world.timer.set(None)
    assert world.clock.getDelayedCalls() == []


def test_what_is_past_is_not_now_but_soon() -> None:
    world = World()
    world.clock.advance(10.0)
    world.timer.set(4.0)
    world.clock.advance(0)
    assert world.fired == []
    world.clock.advance(FLOOR_S)
    assert world.fired == [10.0 + FLOOR_S]
