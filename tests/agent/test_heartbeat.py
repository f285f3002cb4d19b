from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from edgetainer_agent.heartbeat import HEARTBEAT_PATH, Heartbeat
from tests.agent.answers import Answers


class Heart:
    def __init__(self) -> None:
        self.clock = Clock()
        self.server = Answers()
        self.revisions: list[int] = []
        self.heartbeat = Heartbeat(
            clock=self.clock,
            request=self.server.request,
            collect=self.collect,
            on_revision=self.revisions.append,
            random=lambda low, high: low,
        )

    async def collect(self) -> dict[str, Any]:
        return {"metrics": {"load1": 0.5}}


def test_beats_at_once_and_then_at_its_interval() -> None:
    heart = Heart()
    heart.heartbeat.start(60)
    asked = heart.server.give(HEARTBEAT_PATH, {"revision": 4})
    assert (asked.method, asked.json) == ("POST", {"metrics": {"load1": 0.5}})
    assert heart.revisions == [4]
    heart.clock.advance(53.9)
    assert heart.server.asked == []
    heart.clock.advance(0.1)
    heart.server.give(HEARTBEAT_PATH, {"revision": 5})
    assert heart.revisions == [4, 5]


def test_another_interval_counts_from_a_beat_now() -> None:
    heart = Heart()
    heart.heartbeat.start(60)
    heart.server.give(HEARTBEAT_PATH, {"revision": 4})
    heart.heartbeat.start(60)
    assert heart.server.asked == []
    heart.heartbeat.start(10)
    heart.server.give(HEARTBEAT_PATH, {"revision": 4})
    heart.clock.advance(9)
    heart.server.take(HEARTBEAT_PATH)


@pytest.mark.parametrize(
    ("status", "document"), [(500, {}), (401, {}), (200, b"{"), (200, []), (200, {"revision": "x"})]
)
def test_a_bad_answer_is_not_the_end(status: int, document: Any) -> None:
    heart = Heart()
    heart.heartbeat.start(60)
    heart.server.give(HEARTBEAT_PATH, document, status=status)
    assert heart.revisions == []
    heart.clock.advance(60)
    heart.server.give(HEARTBEAT_PATH, {"revision": 9})
    assert heart.revisions == [9]


def test_stops_in_the_middle_of_a_beat() -> None:
    heart = Heart()
    heart.heartbeat.start(60)
    heart.heartbeat.stop()
    heart.clock.advance(1_000)
    assert len(heart.server.asked) == 1
    heart.server.asked.clear()
    heart.heartbeat.start(60)
    heart.server.give(HEARTBEAT_PATH, {"revision": 1})
