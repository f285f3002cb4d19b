"""Turns of streams, decided on streams that no connection drives."""

from __future__ import annotations

import pytest
from aioquic.quic.stream import QuicStream

from edgetainer.quic.schedule import Schedule, has_news, sendable, unsent


def stream(number: int, waiting: int = 0, *, credit: int = 1_000_000) -> QuicStream:
    """A stream with this many bytes to send, of which its peer admits `credit`."""
    made = QuicStream(stream_id=4 * number, max_stream_data_local=1, max_stream_data_remote=credit)
    if waiting:
        made.sender.write(bytes(waiting))
    return made


def ids(streams: list[QuicStream]) -> list[int]:
    return [each.stream_id // 4 for each in streams if each.stream_id is not None]


def test_idle_streams_are_not_shown() -> None:
    shown, others = Schedule().choose([stream(0), stream(1, 10), stream(2)], None)
    assert (ids(shown), ids(others)) == ([1], [0, 2])


@pytest.mark.parametrize(
    ("room", "expected"),
    [(None, [0, 1, 2, 3]), (3000, [0, 1, 2]), (1001, [0, 1]), (1000, [0]), (1, [0]), (0, [])],
)
def test_no_more_are_shown_than_the_window_has_room_for(
    room: int | None, expected: list[int]
) -> None:
    queue = [stream(number, 1000) for number in range(4)]
    shown, others = Schedule().choose(queue, room)
    assert ids(shown) == expected
    assert ids(shown) + ids(others) == [0, 1, 2, 3]


def test_one_whose_peer_admits_nothing_takes_no_room() -> None:
    held = stream(0, 5000, credit=0)
    shown, _ = Schedule().choose([held, stream(1, 1000)], 500)
    assert ids(shown) == [0, 1]
    assert sendable(held) == 0


def test_news_goes_out_when_the_window_is_full() -> None:
    reset, stopped, credit = stream(0), stream(1), stream(2)
    reset.sender.reset(1)
    stopped.receiver.stop(1)
    credit.max_stream_data_local = 2
    shown, _ = Schedule().choose([reset, stopped, credit], 0)
    assert ids(shown) == [0, 1, 2]
    assert not has_news(stream(3, 1000))


def test_who_was_served_goes_last_and_who_was_not_shown_first() -> None:
    schedule = Schedule()
    streams = [stream(number, 1000) for number in range(5)]
    shown, others = schedule.choose(streams, 3000)
    for number in (2, 0):
        schedule.served(streams[number])
    # As aioquic leaves it: those that were served, in any order, at the end.
    left = [streams[1], streams[0], streams[2]]
    queue = schedule.next_queue(left, others, {4 * number for number in range(5)})
    assert ids(queue) == [3, 4, 1, 2, 0]
    assert ids(shown) == [0, 1, 2]


def test_who_is_gone_has_no_turn_any_more() -> None:
    schedule = Schedule()
    one, gone = stream(0, 10), stream(1, 10)
    schedule.served(gone)
    schedule.served(one)
    assert ids(schedule.next_queue([one, gone], [], {0})) == [0]
    # The memory of who was served is that of one packet.
    assert ids(schedule.next_queue([one], [], {0})) == [0]


def test_what_was_reset_is_not_waiting_to_be_sent() -> None:
    one = stream(0, 500)
    assert unsent(one) == 500
    one.sender.get_frame(200)
    assert unsent(one) == 300
    one.sender.reset(1)
    assert unsent(one) == 0
