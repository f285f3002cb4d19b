"""What the two parts of a stream tell the schedule, and the books they keep."""

from __future__ import annotations

import pytest
from aioquic.quic.packet import QuicStreamFrame
from aioquic.quic.packet_builder import QuicDeliveryState

from edgetainer.quic.schedule import Place, Readiness
from edgetainer.quic.stream_state import Ledger, Stream

ACKED, LOST = QuicDeliveryState.ACKED, QuicDeliveryState.LOST


def make(ledger: Ledger, stream_id: int = 0, *, admitted: int = 1_000) -> Stream:
    return Stream(stream_id, ledger, limit_local=1_000, limit_remote=admitted)


def test_readiness_says_what_is_in_the_way() -> None:
    stream = make(Ledger(), admitted=600)
    assert stream.readiness(100) is Readiness.NOTHING
    stream.sender.write(bytes(700))
    assert stream.readiness(100) is Readiness.READY
    assert stream.readiness(0) is Readiness.CONNECTION_CREDIT
    stream.sender.get_frame(600)
    assert stream.readiness(100) is Readiness.STREAM_CREDIT
    stream.sender.on_data_delivery(LOST, 0, 100, False)
    assert stream.readiness(0) is Readiness.READY, "lost bytes were admitted before"
    stream.is_blocked = True
    assert stream.readiness(100) is Readiness.STREAM_CREDIT


def test_the_end_of_a_stream_needs_no_credit() -> None:
    stream = make(Ledger(), admitted=0)
    stream.sender.write(b"", end_stream=True)
    assert stream.readiness(0) is Readiness.READY
    assert stream.sender.get_frame(0).fin  # type: ignore[union-attr]
    assert stream.readiness(0) is Readiness.NOTHING


def test_what_was_never_sent_is_counted_once() -> None:
    ledger = Ledger()
    one, other = make(ledger), make(ledger, 4)
    one.sender.write(bytes(500))
    other.sender.write(bytes(300))
    assert (one.sender.unsent, other.sender.unsent, ledger.unsent) == (500, 300, 800)
    one.sender.get_frame(200)
    one.sender.on_data_delivery(LOST, 0, 200, False)
    one.sender.get_frame(200)
    assert (one.sender.unsent, ledger.unsent) == (300, 600)
    one.sender.reset(1)
    assert (one.sender.unsent, ledger.unsent) == (0, 300)
    assert not one.sender._buffer, "nor is it kept"
    one.sender.reset(2)
    assert ledger.unsent == 300


def test_writing_and_losing_wake_a_stream() -> None:
    ledger = Ledger()
    stream = make(ledger)
    assert stream.place is Place.OUT
    stream.sender.write(b"x")
    assert stream.place is Place.IN
    stream.sender.get_frame(10)
    assert ledger.schedule.pick(100, 0) is None
    assert stream.place is Place.OUT
    stream.sender.on_data_delivery(LOST, 0, 1, False)
    assert stream.place is Place.IN
    assert ledger.schedule.pick(0, 0) is stream


def test_resets_and_requests_to_stop_are_news_until_they_arrive() -> None:
    ledger = Ledger()
    stream = make(ledger)
    stream.sender.reset(1)
    stream.receiver.stop(2)
    assert list(ledger.schedule.news) == [stream]
    ledger.schedule.told()
    stream.sender.get_reset_frame()
    stream.receiver.get_stop_frame()
    stream.sender.on_reset_delivery(LOST)
    assert list(ledger.schedule.news) == [stream]
    ledger.schedule.told()
    stream.receiver.on_stop_sending_delivery(LOST)
    assert list(ledger.schedule.news) == [stream]
    ledger.schedule.told()
    stream.sender.get_reset_frame()
    stream.receiver.get_stop_frame()
    stream.sender.on_reset_delivery(ACKED)
    stream.receiver.on_stop_sending_delivery(ACKED)
    assert not ledger.schedule.news


@pytest.mark.parametrize("reading_first", [True, False])
def test_a_stream_is_finished_when_both_parts_are(reading_first: bool) -> None:
    ledger = Ledger()
    stream = make(ledger)

    def read() -> None:
        stream.receiver.handle_frame(QuicStreamFrame(data=b"x", offset=0, fin=True))

    def write() -> None:
        stream.sender.write(b"y", end_stream=True)
        stream.sender.get_frame(10)
        stream.sender.on_data_delivery(ACKED, 0, 1, True)

    first, second = (read, write) if reading_first else (write, read)
    first()
    assert ledger.take_finished() == []
    second()
    assert ledger.take_finished() == [stream]
    assert ledger.take_finished() == []


def test_resets_finish_a_stream_too() -> None:
    ledger = Ledger()
    stream = make(ledger)
    stream.receiver.handle_reset(final_size=10, error_code=1)
    stream.sender.reset(1)
    stream.sender.get_reset_frame()
    stream.sender.on_reset_delivery(ACKED)
    assert ledger.take_finished() == [stream]
