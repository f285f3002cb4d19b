from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from edgetainer_agent.heartbeat import HEARTBEAT_PATH, Heartbeat, News
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


def test_news_is_what_the_server_has_not_been_told() -> None:
    news = News()
    said = {"metrics": {"load1": 1.0, "disk": None}, "os_version": "x", "containers": [1]}
    assert news.of(said) == said
    news.told(said)
    assert news.of(said) == {}
    later = {
        "metrics": {"load1": 1.01, "disk": 5},
        "os_version": "x",
        "containers": [1, 2],
    }
    assert news.of(later) == {"metrics": {"disk": 5}, "containers": [1, 2]}
    news.told(news.of(later))
    assert news.of({"metrics": {"load1": 1.1, "disk": 5}}) == {"metrics": {"load1": 1.1}}
    news.forget()
    assert news.of(later) == later


def test_where_bytes_are_spared_a_beat_takes_the_place_of_a_sign_of_life() -> None:
    clock, sent = Clock(), []

    def request(method: str, path: str, *, json: Any) -> Any:
        sent.append((clock.seconds(), json))
        return succeed(SimpleNamespace(status=200, body=b'{"revision":1}'))

    async def collect() -> dict[str, Any]:
        return {"metrics": {"load1": 1.0}, "revision": 1}

    beat = Heartbeat(
        clock=clock,
        request=request,
        collect=collect,
        on_revision=lambda revision: None,
        random=lambda least, most: least,
        sparing=lambda: 140.0,
    )
    beat.start(900.0)
    for _ in range(2000):
        clock.advance(1)
    assert [at for at, _ in sent] == pytest.approx([0, 838, 1676], abs=1.1)
    assert [said for _, said in sent] == [{"metrics": {"load1": 1.0}, "revision": 1}, {}, {}]
    # All is told anew each day, and whenever it starts again.
    for _ in range(86_400 // 10):
        clock.advance(10)
    assert sum(bool(said) for _, said in sent) == 2
    beat.stop()
    beat.start(900.0)
    assert sent[-1][1] == {"metrics": {"load1": 1.0}, "revision": 1}
