from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from edgetainer.events import MAX_EVENTS, MAX_TOPICS, REPLAY, Event, Events
from tests.wall import wall


def board(at: float = 1_800_000_000.25) -> tuple[Events, Clock]:
    clock = Clock()
    clock.advance(at)
    return Events(now=wall(clock)), clock


def test_tells_the_subscribers_of_the_topic() -> None:
    events, _ = board()
    got: list[Event] = []
    events.subscribe("devices", got.append)
    events.publish("device:1", "device.updated", {})
    events.publish("devices", "device.updated", {"id": "1"})
    [event] = got
    assert (event.topic, event.type, event.data) == ("devices", "device.updated", {"id": "1"})
    assert event.ts == "2027-01-15T08:00:00.250Z"


def test_unsubscribing_works_and_works_twice() -> None:
    events, _ = board()
    got: list[Event] = []
    stop = events.subscribe("devices", got.append)
    stop()
    stop()
    events.publish("devices", "x", {})
    assert got == []


def test_a_subscriber_that_fails_harms_nobody() -> None:
    events, _ = board()
    got: list[Event] = []
    logged: list[dict[str, object]] = []

    def fails(event: Event) -> None:
        raise ZeroDivisionError

    events.subscribe("devices", fails)
    events.subscribe("devices", got.append)
    globalLogPublisher.addObserver(logged.append)
    try:
        events.publish("devices", "x", {})
    finally:
        globalLogPublisher.removeObserver(logged.append)
    assert len(got) == 1
    assert any("log_failure" in entry for entry in logged)


def test_replays_what_came_since() -> None:
    events, _ = board()
    first, *rest = [events.publish("devices", "x", {"n": n}) for n in range(5)]
    assert events.since("devices", first.seq) == rest
    assert events.since("devices", rest[-1].seq) == []
    assert events.since("devices", first.seq - 1) == [first, *rest]


def test_says_so_when_it_does_not_know_any_more() -> None:
    events, _ = board()
    kept = [events.publish("devices", "x", {"n": n}) for n in range(REPLAY + 1)]
    assert events.since("devices", kept[0].seq) == kept[1:]
    assert events.since("devices", kept[0].seq - 1) is None
    assert events.since("devices", kept[-1].seq + 1) is None
    assert events.since("never heard of", kept[-1].seq) is None


def test_numbers_of_a_restarted_server_are_never_mistaken() -> None:
    events, clock = board()
    old = [events.publish("devices", "x", {}) for _ in range(100)]
    restarted, _ = board(clock.seconds() + 1)
    new = restarted.publish("devices", "x", {})
    assert new.seq > old[-1].seq
    assert restarted.since("devices", old[-1].seq) is None
    assert new.seq < 2**53


def test_remembers_a_bounded_number_of_topics() -> None:
    events, _ = board()
    got: list[Event] = []
    events.subscribe("watched", got.append)
    before = events.publish("forgotten", "x", {}).seq
    for number in range(MAX_TOPICS):
        events.publish(f"device:{number}", "x", {})
    assert len(events._topics) == MAX_TOPICS
    assert events.since("forgotten", before) is None
    events.publish("watched", "x", {})
    assert len(got) == 1


def test_remembers_a_bounded_number_of_events() -> None:
    """A fleet whose heartbeats are all told of, and one device of it that is watched."""
    events, _ = board()
    devices = MAX_EVENTS // REPLAY * 4
    events.subscribe("device:0", lambda event: None)
    for beat in range(REPLAY + 10):
        for device in range(devices):
            last = events.publish(f"device:{device}", "device.updated", {"beat": beat})
    kept = sum(len(topic.kept) for topic in events._topics.values())
    assert MAX_EVENTS - REPLAY <= kept <= MAX_EVENTS
    assert kept == events._kept
    watched = events._topics["device:0"].kept
    assert len(watched) == REPLAY, "the watched one has all that it may"
    assert events.since("device:0", watched[0].seq) == list(watched)[1:]
    assert events.since(last.topic, last.seq) == []


def test_what_is_watched_is_kept_although_it_is_too_much() -> None:
    events, _ = board()
    topics = [f"device:{number}" for number in range(MAX_EVENTS // REPLAY + 2)]
    for topic in topics:
        events.subscribe(topic, lambda event: None)
    for _ in range(REPLAY):
        for topic in topics:
            events.publish(topic, "device.updated", {})
    assert all(len(events._topics[topic].kept) == REPLAY for topic in topics)
