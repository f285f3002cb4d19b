"""A client is told the newest, not too often, and never more than it takes."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from edgetainer.errors import EdgetainerError
from edgetainer.events import Events
from edgetainer.hub.topics import MOST_PENDING, MOST_TOPICS, Feed, check_topic
from tests.hub.support import VIEWER
from tests.wall import wall

DEVICE = "device:b0000000-0000-4000-8000-000000000001"


class Client:
    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.events = Events(now=wall(self.clock))
        self.told: list[dict[str, Any]] = []
        self.feed = Feed(events=self.events, clock=self.clock, send=self.told.append)

    def happen(self, id: int, value: int, topic: str = "devices") -> int:
        data = {"id": str(id), "value": value}
        return self.events.publish(topic, "device.updated", data).seq

    def values(self) -> list[tuple[str, int]]:
        taken, self.told[:] = list(self.told), []
        return [(message["data"]["id"], message["data"]["value"]) for message in taken]


def test_the_first_change_is_told_at_once_and_further_ones_twice_a_second() -> None:
    client = Client()
    client.feed.subscribe(VIEWER, "devices")
    batches = 0
    for step in range(80):
        client.happen(1, step)
        batches += len(client.values())
        client.clock.advance(0.125)
    assert 19 <= batches <= 22
    client.clock.advance(1)
    client.values()
    client.happen(1, 999)
    assert client.values() == [("1", 999)]


def test_changes_of_one_thing_are_told_once_with_the_newest_in_growing_order() -> None:
    client = Client()
    client.feed.subscribe(VIEWER, "devices")
    client.happen(0, 0)
    client.values()
    for value in range(5):
        client.happen(1, value)
        client.happen(2, value)
    client.happen(1, 5)
    client.clock.advance(0.5)
    numbers = [message["seq"] for message in client.told]
    assert numbers == sorted(numbers)
    assert client.values() == [("2", 4), ("1", 5)]


def test_a_message_has_the_agreed_shape() -> None:
    client = Client()
    client.feed.subscribe(VIEWER, DEVICE)
    client.events.publish(DEVICE, "device.updated", {"id": "x"})
    (message,) = client.told
    assert set(message) == {"topic", "seq", "ts", "type", "data"}
    assert message["topic"] == DEVICE
    assert message["type"] == "device.updated"


def test_a_client_that_comes_back_gets_what_it_missed() -> None:
    client = Client()
    client.feed.subscribe(VIEWER, "devices")
    seen = client.happen(1, 1)
    client.values()
    client.feed.unsubscribe("devices")
    client.happen(2, 2)
    client.happen(3, 3)
    assert client.values() == []
    client.feed.subscribe(VIEWER, "devices", since=seen)
    assert client.values() == [("2", 2), ("3", 3)]


def test_a_client_that_was_away_too_long_starts_afresh() -> None:
    client = Client()
    client.feed.subscribe(VIEWER, "devices", since=3)
    assert client.told == [{"type": "resync", "topic": "devices"}]
    client.told.clear()
    client.clock.advance(1)
    client.happen(1, 1)
    assert client.values() == [("1", 1)]


def test_a_client_that_does_not_read_costs_a_bounded_amount_and_starts_afresh() -> None:
    client = Client()
    client.feed.subscribe(VIEWER, "devices")
    client.feed.pause()
    for number in range(MOST_PENDING + 1):
        client.happen(number, number)
    for number in range(10_000):
        client.happen(number, number)
    client.clock.advance(10)
    assert client.told == []
    assert len(client.feed._topics["devices"]._pending) == 0
    client.feed.resume()
    assert client.told == [{"type": "resync", "topic": "devices"}]


def test_a_client_that_reads_again_gets_the_newest() -> None:
    client = Client()
    client.feed.subscribe(VIEWER, "devices")
    client.feed.pause()
    for value in range(1000):
        client.happen(1, value)
    client.feed.resume()
    assert client.values() == [("1", 999)]


def test_a_closed_feed_leaves_nothing_behind() -> None:
    client = Client()
    client.feed.subscribe(VIEWER, "devices")
    client.happen(1, 1)
    client.happen(1, 2)
    client.feed.close()
    client.values()
    client.happen(1, 3)
    assert client.told == []
    assert client.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        ("users", "not_found"),
        ("devices ", "not_found"),
        ("device:1", "not_found"),
        ("device:../x", "not_found"),
        ("", "not_found"),
        (None, "invalid_field"),
        (["devices"], "invalid_field"),
    ],
)
def test_what_is_no_topic_is_refused(topic: object, code: str) -> None:
    with pytest.raises(EdgetainerError) as caught:
        check_topic(VIEWER, topic)
    assert caught.value.code == code


def test_wrong_numbers_and_too_many_topics_are_refused() -> None:
    client = Client()
    for since in ("1", 1.5, True):
        with pytest.raises(EdgetainerError):
            client.feed.subscribe(VIEWER, "devices", since)
    for number in range(MOST_TOPICS):
        client.feed.subscribe(VIEWER, f"device:b0000000-0000-4000-8000-{number:012}")
    with pytest.raises(EdgetainerError):
        client.feed.subscribe(VIEWER, "devices")
    client.feed.unsubscribe(f"device:b0000000-0000-4000-8000-{0:012}")
    client.feed.subscribe(VIEWER, "devices")
    client.feed.unsubscribe(None)
