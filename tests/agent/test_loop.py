from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, globalLogPublisher

from edgetainer.errors import EdgetainerError
from edgetainer_agent.loop import Loop


class Work:
    """Something to repeat, whose ends the test decides."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.under_way: list[Deferred[float | None]] = []
        self.begun = 0
        self.hide_cancelling = False
        self.loop = Loop(clock=self.clock, name="Work", once=self.once, on_failure=lambda: 7.0)

    async def once(self) -> float | None:
        self.begun += 1
        waiting: Deferred[float | None] = Deferred()
        self.under_way.append(waiting)
        try:
            return await waiting
        except Exception as error:
            if self.hide_cancelling:
                # As a library does that wraps every failure.
                raise EdgetainerError("unavailable") from error
            raise

    def end(self, delay: float | None) -> None:
        self.under_way.pop().callback(delay)


def test_repeats_after_what_it_said() -> None:
    work = Work()
    work.loop.wake()
    assert (work.begun, work.loop.started) == (1, True)
    work.end(3.0)
    work.clock.advance(2.9)
    assert work.begun == 1
    work.clock.advance(0.1)
    assert work.begun == 2


def test_a_wake_cuts_the_wait_short_and_never_runs_twice_at_a_time() -> None:
    work = Work()
    work.loop.wake()
    work.end(None)
    work.clock.advance(10_000)
    assert work.begun == 1
    work.loop.wake()
    assert work.begun == 2
    work.loop.wake()
    work.loop.wake()
    assert work.begun == 2
    work.end(100.0)
    assert work.begun == 3
    work.end(100.0)
    assert work.begun == 3


def test_a_failure_is_logged_and_tried_again() -> None:
    work = Work()
    levels = []
    observe = lambda event: levels.append(event["log_level"])  # noqa: E731
    globalLogPublisher.addObserver(observe)
    work.loop.wake()
    for failure in (EdgetainerError("unavailable"), ZeroDivisionError()):
        work.under_way.pop().errback(failure)
        work.clock.advance(6.9)
        assert not work.under_way
        work.clock.advance(0.1)
        assert work.under_way
    globalLogPublisher.removeObserver(observe)
    assert levels == [LogLevel.warn, LogLevel.critical]


def test_stops_at_once_wherever_it_is_and_begins_again() -> None:
    for hide_cancelling in (False, True):
        work = Work()
        work.hide_cancelling = hide_cancelling
        work.loop.wake()
        work.loop.stop()
        assert not work.loop.started
        work.clock.advance(100)
        assert work.begun == 1
        work.under_way.clear()
        work.loop.wake()
        work.end(5.0)
        work.loop.stop()
        work.loop.stop()
        assert work.clock.getDelayedCalls() == []
        work.loop.wake()
        assert work.begun == 3


def test_a_full_disk_is_a_line_in_the_log_and_no_traceback() -> None:
    work = Work()
    with capturedLogs() as said:
        work.loop.wake()
        work.under_way.pop().errback(OSError(28, "No space left on device"))
        work.clock.advance(7)
    assert work.begun == 2
    assert [event["log_level"] for event in said] == [LogLevel.warn]
