"""Timers go on when the wall clock is put back or forward."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from edgetainer.quic.clock import make_monotonic

# A real reactor whose wall clock jumps while calls are scheduled. Twisted takes
# `time.time` where it is imported, so the jumping one is there before it.
PROGRAM = """
import sys, time

jump = 0.0
true_time = time.time
time.time = lambda: true_time() + jump

from twisted.internet import reactor
from edgetainer.quic.clock import make_monotonic

if {monotonic}:
    make_monotonic(reactor)
fired = []

def put():
    global jump
    jump = {jump}

reactor.callLater(0.05, put)
reactor.callLater(0.1, fired.append, "soon")
reactor.callLater(30, fired.append, "late")
# By another clock: what would notice that the reactor's own stands still.
import threading
threading.Timer(1.0, lambda: reactor.callFromThread(reactor.stop)).start()
reactor.run()
print(*fired)
"""


def fired(*, jump: float, monotonic: bool) -> list[str]:
    program = PROGRAM.format(jump=jump, monotonic=monotonic)
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout.split()


@pytest.mark.parametrize("jump", [-3600.0, 0.0, 3600.0])
def test_timers_fire_in_their_time_whatever_the_wall_clock_does(jump: float) -> None:
    assert fired(jump=jump, monotonic=True) == ["soon"]


@pytest.mark.parametrize(("jump", "wrong"), [(-3600.0, []), (3600.0, ["soon", "late"])])
def test_twisted_alone_follows_the_wall_clock(jump: float, wrong: list[str]) -> None:
    """If this fails Twisted has a monotonic clock of its own, and ours can go."""
    assert fired(jump=jump, monotonic=False) == wrong


def test_a_reactor_that_has_begun_is_left_alone() -> None:
    clock = Clock()
    clock.callLater(1, lambda: None)
    with pytest.raises(RuntimeError):
        make_monotonic(clock)
    assert clock.seconds() == 0.0
