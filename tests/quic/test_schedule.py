"""Turns of streams, decided on streams that no connection drives."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetainer.quic.schedule import (
    INTERACTIVE_SHARE,
    QUANTUM,
    WEIGHTS,
    Place,
    Priority,
    Readiness,
    Schedule,
    Sending,
)

PACKET = 1_200
PLENTY = 1 << 40


class Queue(Sending):
    """A stream with this many bytes to send, of which its peer admits `limit`."""

    def __init__(
        self, name: str, waiting: int = 0, priority: Priority = Priority.BULK, limit: int = PLENTY
    ) -> None:
        super().__init__(priority)
        self.name = name
        self.waiting = waiting
        self.lost = 0
        self.limit = limit
        self.asked = 0

    def readiness(self, credit: int) -> Readiness:
        self.asked += 1
        if self.lost:
            return Readiness.READY
        if not self.waiting:
            return Readiness.NOTHING
        if not self.limit:
            return Readiness.STREAM_CREDIT
        return Readiness.READY if credit > 0 else Readiness.CONNECTION_CREDIT


class Sender:
    """Takes packets of bytes from a schedule."""

    def __init__(self, *streams: Queue, credit: int = PLENTY, reserve: int = 0) -> None:
        self.schedule = Schedule()
        self.credit = credit
        self.reserve = reserve
        self.sent: Counter[str] = Counter()
        self.order: list[str] = []
        for stream in streams:
            self.schedule.wake(stream)

    def take(self, most: int = PACKET) -> Queue | None:
        stream = self.schedule.pick(self.credit, self.reserve)
        if stream is None:
            return None
        assert isinstance(stream, Queue)
        if stream.lost:
            count = min(most, stream.lost)
            stream.lost -= count
        else:
            credit = self.credit
            if stream.priority is not Priority.INTERACTIVE:
                credit -= self.reserve
            count = min(most, stream.waiting, stream.limit, credit)
            stream.waiting -= count
            stream.limit -= count
            self.credit -= count
        assert count > 0, "whoever is picked can send"
        self.schedule.served(stream, count)
        self.sent[stream.name] += count
        self.order.append(stream.name)
        return stream

    def packets(self, count: int, most: int = PACKET) -> None:
        for _ in range(count):
            self.take(most)


def test_interactive_bytes_go_first() -> None:
    bulk, typed = Queue("bulk", 1_000_000), Queue("typed", 0, Priority.INTERACTIVE)
    sender = Sender(bulk)
    sender.packets(50)
    typed.waiting = 1
    sender.schedule.wake(typed)
    assert sender.take() is typed
    assert sender.take() is bulk


def test_a_flood_of_interactive_bytes_leaves_the_others_a_tenth() -> None:
    sender = Sender(
        Queue("yes", PLENTY, Priority.INTERACTIVE),
        Queue("request", PLENTY, Priority.REQUEST),
        Queue("bulk", PLENTY),
    )
    sender.packets(10_000)
    share = sender.sent["yes"] / sender.sent.total()
    assert share == pytest.approx(INTERACTIVE_SHARE / (INTERACTIVE_SHARE + 1), abs=0.005)
    assert sender.sent["request"] == pytest.approx(2 * sender.sent["bulk"], rel=0.02)
    # The wait of a keystroke is never longer than one turn of the others.
    runs = "".join("i" if name == "yes" else "o" for name in sender.order).split("i")
    assert max(map(len, runs)) <= 2


def test_a_keystroke_after_a_flood_owes_nothing_for_it_when_nobody_waited() -> None:
    typed = Queue("typed", 500_000, Priority.INTERACTIVE)
    sender = Sender(typed)
    while sender.take():
        pass
    bulk = Queue("bulk", 500_000)
    sender.schedule.wake(bulk)
    sender.packets(10)
    typed.waiting = 1
    sender.schedule.wake(typed)
    assert sender.take() is typed


def test_classes_share_by_weight_and_streams_of_one_class_equally() -> None:
    streams = [Queue(f"b{number}", PLENTY) for number in range(10)]
    streams += [Queue(f"r{number}", PLENTY, Priority.REQUEST) for number in range(3)]
    sender = Sender(*streams)
    sender.packets(13_000)
    bulk = [sender.sent[f"b{number}"] for number in range(10)]
    requests = [sender.sent[f"r{number}"] for number in range(3)]
    weight = WEIGHTS[Priority.REQUEST] / WEIGHTS[Priority.BULK]
    assert sum(requests) == pytest.approx(weight * sum(bulk), rel=0.01)
    assert max(bulk) - min(bulk) <= 2 * QUANTUM
    assert max(requests) - min(requests) <= 2 * QUANTUM


def test_short_turns_count_as_little_as_they_were() -> None:
    """A stream whose frames are small, because another shares its packets, loses nothing."""
    small, large = Queue("small", PLENTY), Queue("large", PLENTY)
    sender = Sender(small, large)
    for _ in range(20_000):
        stream = sender.schedule.pick(PLENTY, 0)
        sender.take(100 if stream is small else PACKET)
    assert sender.sent["small"] == pytest.approx(sender.sent["large"], rel=0.01)


def test_who_begins_passes_those_that_have_been_sending_but_not_for_ever() -> None:
    transfers = [Queue(f"t{number}", PLENTY) for number in range(50)]
    sender = Sender(*transfers)
    sender.packets(500)
    answer = Queue("answer", PACKET)
    sender.schedule.wake(answer)
    assert sender.take() is answer
    # It writes again and again, each time when it has nothing left.
    sender.sent.clear()
    for _ in range(5_000):
        if not answer.waiting:
            answer.waiting = PACKET
            sender.schedule.wake(answer)
        sender.take()
    mean = sum(sender.sent[each.name] for each in transfers) / len(transfers)
    assert 0.9 * mean < sender.sent["answer"] < 2.1 * mean


def test_idle_and_blocked_streams_are_not_asked() -> None:
    idle = [Queue(f"idle{number}") for number in range(100)]
    blocked = [Queue(f"blocked{number}", 1_000, limit=0) for number in range(100)]
    bulk = Queue("bulk", PLENTY)
    sender = Sender(*idle, *blocked, bulk)
    sender.packets(10)
    for stream in idle + blocked:
        assert stream.place is Place.OUT
        stream.asked = 0
    sender.packets(100)
    assert not any(stream.asked for stream in idle + blocked)
    assert bulk.asked < 300
    blocked[7].limit = 500
    sender.schedule.wake(blocked[7])
    assert sender.take() is blocked[7]


def test_without_credit_of_the_connection_all_wait_in_order() -> None:
    streams = [Queue(f"s{number}", PLENTY) for number in range(20)]
    sender = Sender(*streams, credit=5 * QUANTUM)
    sender.packets(6, QUANTUM)
    assert sender.order == [f"s{number}" for number in range(5)]
    asked = sum(stream.asked for stream in streams)
    sender.packets(100)
    assert sum(stream.asked for stream in streams) <= asked + 1
    for _ in range(3):
        # Little credit at a time: everyone has a turn before anyone has two.
        sender.credit += 5 * QUANTUM
        sender.packets(6, QUANTUM)
    assert sorted(sender.order) == sorted(stream.name for stream in streams)


def test_lost_bytes_need_no_credit() -> None:
    one, other = Queue("one", PLENTY), Queue("other", PLENTY)
    sender = Sender(one, other, credit=2 * PACKET)
    sender.packets(4)
    assert one.place is Place.ASIDE
    one.lost = PACKET
    sender.schedule.repeat(one)
    assert sender.take() is one
    assert sender.take() is None
    sender.credit += PACKET
    assert sender.take() is other


def test_bulk_leaves_the_last_of_the_credit_to_interactive_streams() -> None:
    bulk, typed = Queue("bulk", PLENTY), Queue("typed", 10, Priority.INTERACTIVE)
    sender = Sender(bulk, credit=10_000, reserve=2_000)
    sender.packets(20)
    assert sender.credit == 2_000
    sender.schedule.wake(typed)
    assert sender.take() is typed


def test_a_class_can_be_changed_wherever_the_stream_is() -> None:
    fresh, turned, aside = Queue("fresh", 500), Queue("turned", PLENTY), Queue("aside", PLENTY)
    sender = Sender(turned, aside, credit=3 * PACKET)
    sender.packets(4)
    assert aside.place is Place.ASIDE
    sender.schedule.wake(fresh)
    for stream in (fresh, turned, aside):
        sender.schedule.classify(stream, Priority.INTERACTIVE)
        assert stream.place is Place.IN
    sender.credit += 5 * PACKET
    sender.packets(4)
    assert {"fresh", "turned", "aside"} <= set(sender.order[3:])
    idle = Queue("idle")
    sender.schedule.classify(idle, Priority.REQUEST)
    assert idle.place is Place.OUT


def test_news_is_told_once_and_in_order() -> None:
    schedule = Schedule()
    one, other = Queue("one"), Queue("other")
    for stream in (one, other, one):
        schedule.tell(stream)
    assert list(schedule.news) == [one, other]
    schedule.told()
    assert not one.has_news
    schedule.tell(one)
    assert list(schedule.news) == [other, one]


OPERATIONS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 5), st.integers(1, 20_000)),
    st.tuples(st.just("limit"), st.integers(0, 5), st.integers(1, 20_000)),
    st.tuples(st.just("lose"), st.integers(0, 5), st.integers(1, 3_000)),
    st.tuples(st.just("class"), st.integers(0, 5), st.sampled_from(list(Priority))),
    st.tuples(st.just("credit"), st.just(0), st.integers(1, 50_000)),
    st.tuples(st.just("send"), st.just(0), st.integers(1, 20)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(OPERATIONS, max_size=60), st.integers(0, 4_000))
def test_every_byte_is_sent_and_nobody_starves(
    operations: list[tuple[str, int, int]], reserve: int
) -> None:
    """Whatever happened before: what can be sent is sent, in bounded time each."""
    classes = [Priority.INTERACTIVE, Priority.REQUEST, Priority.BULK] * 2
    streams = [Queue(f"s{at}", 0, priority, 5_000) for at, priority in enumerate(classes)]
    sender = Sender(credit=10_000, reserve=reserve)
    for what, at, amount in operations:
        stream = streams[at]
        if what == "write":
            stream.waiting += amount
            sender.schedule.wake(stream)
        elif what == "limit":
            stream.limit += amount
            sender.schedule.wake(stream)
        elif what == "lose":
            stream.lost += amount
            sender.schedule.repeat(stream)
        elif what == "class":
            sender.schedule.classify(stream, Priority(amount))
        elif what == "credit":
            sender.credit += amount
        else:
            sender.packets(amount)
    # From here on everybody has something to say, without end.
    sender.credit = PLENTY
    for stream in streams:
        stream.waiting += 200_000
        stream.limit += 1_000_000
        sender.schedule.wake(stream)
    sender.sent.clear()
    sender.packets(600)
    for stream in streams:
        assert sender.sent[stream.name] > 0, f"{stream.name} got no turn"
    while sender.take():
        pass
    assert [stream.waiting + stream.lost for stream in streams] == [0] * 6
    assert {stream.place for stream in streams} == {Place.OUT}
