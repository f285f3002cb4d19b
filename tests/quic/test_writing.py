"""What goes into packets, seen on the wire of two real ends on a fake clock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from aioquic.quic.packet_builder import QuicDeliveryState

from edgetainer.quic.crediting import Limits
from edgetainer.quic.schedule import Place, Priority
from edgetainer.quic.stream_state import Stream
from edgetainer.quic.writing import AHEAD, RESERVE
from tests.quic.pair import Pair, Recorder, Source, Stubborn

MIB = 1024 * 1024


class Server(Pair):
    """A pair whose server's datagrams are looked at."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sizes: list[int] = []
        self.network.filter = self._seen

    def _seen(self, data: bytes, source: Any, destination: Any) -> bool:
        if source == self.server._carrier.address:  # type: ignore[union-attr]
            self.sizes.append(len(data))
        return True

    def stream(self, priority: Priority) -> tuple[Recorder, Recorder]:
        """A stream that the server opened: its end of it and the client's."""
        writer, reader = Recorder(), Recorder()
        self.channel(writer, reader)
        writer.transport.set_priority(priority)
        return writer, reader

    @property
    def quic(self) -> Any:
        return self.server_connection.driver.quic

    def only_next_datagram(self) -> None:
        """From now on nothing of the server passes but its next datagram."""
        passed: list[bytes] = []

        def only_first(data: bytes, source: Any, destination: Any) -> bool:
            if source != self.server._carrier.address:  # type: ignore[union-attr]
                return True
            passed.append(data)
            return len(passed) == 1

        self.network.filter = only_first


@pytest.mark.parametrize("after", [0.0, 0.05, 0.1, 0.33, 0.7])
def test_an_interactive_byte_goes_into_the_very_next_packet(after: float) -> None:
    """Whatever the pacer, the window and a megabyte of bulk say at that moment."""
    pair = Server(delay=0.1)
    bulk, _ = pair.stream(Priority.BULK)
    typed, screen = pair.stream(Priority.INTERACTIVE)
    pair.network.pass_time(1)
    bulk.transport.write(bytes(MIB))
    pair.network.pass_time(after)
    assert pair.quic.unsent(bulk.transport.stream_id) > 0
    pair.only_next_datagram()
    typed.transport.write(b"k")
    written_at = pair.network.clock.seconds()
    pair.network.until(lambda: bool(screen.data))
    assert screen.data == b"k"
    assert pair.network.clock.seconds() - written_at < 0.1001, "the link's own delay"


def test_keystrokes_pass_a_full_window_but_not_many() -> None:
    pair = Server(delay=0.2)
    bulk, _ = pair.stream(Priority.BULK)
    typed, _ = pair.stream(Priority.INTERACTIVE)
    bulk.transport.write(bytes(MIB))
    pair.network.pass_time(0.39)  # the first window is spread over a round trip
    assert pair.quic._loss.congestion_window - pair.quic._loss.bytes_in_flight < 1_200
    pair.network.up = False  # nothing is acknowledged from here on
    pair.sizes.clear()
    for _ in range(20):
        typed.transport.write(b"k")
        pair.network.pass_time(0.001)
    assert AHEAD <= len(pair.sizes) <= AHEAD + 1
    assert max(pair.sizes) < 100, "nothing else goes with them"


def test_bulk_never_leaves_in_short_datagrams() -> None:
    pair = Server(delay=0.02)
    pair.network.pass_time(1)
    pair.sizes.clear()
    writer, reader = pair.stream(Priority.BULK)
    Source(pair.network, writer.transport, 2 * MIB)
    pair.network.until(lambda: len(reader.data) == 2 * MIB)
    short = [size for size in pair.sizes if 100 < size < 1_190]
    print(f"{len(pair.sizes)} datagrams, {len(short)} of them neither full nor tiny")
    assert len(pair.sizes) > 1_700
    assert len(short) <= 3, "where the producer had paused, and the last"


@contextmanager
def counted_lines(files: str) -> Iterator[Callable[[], int]]:
    """Count the lines that Python executes in files whose path has this in it."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if event == "call" and files not in frame.f_code.co_filename:
            return None
        count += 1
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lambda: count
    finally:
        sys.settrace(previous)


def lines_for_a_transfer(idle: int, blocked: int = 0) -> float:
    """Executed lines of the connection a packet, while bulk is sent beside idle streams."""
    pair = Server(delay=0.01)
    for number in range(idle + blocked):
        reader = Recorder() if number < idle else Stubborn()
        writer, _ = Recorder(), pair.session
        pair.session.accept_streams = lambda reader=reader: reader  # type: ignore[misc]
        pair.server_session.open_stream(writer)
        if number >= idle:
            writer.transport.write(bytes(300_000))
    pair.network.pass_time(5)
    bulk, reader = pair.stream(Priority.BULK)
    pair.network.pass_time(1)
    packets = pair.quic._packet_number
    with counted_lines("quic") as lines:
        bulk.transport.write(bytes(100_000))
        pair.network.until(lambda: len(reader.data) == 100_000)
        return lines() / (pair.quic._packet_number - packets)


def test_idle_and_blocked_streams_cost_a_packet_nothing() -> None:
    alone = lines_for_a_transfer(0)
    beside = lines_for_a_transfer(1_000)
    print(f"{alone:.0f} lines a packet alone, {beside:.0f} beside 1,000 idle streams")
    assert beside < 1.05 * alone
    stuck = lines_for_a_transfer(0, blocked=2)
    print(f"{stuck:.0f} beside 2 blocked streams")
    assert stuck < 1.05 * alone


def test_bulk_leaves_some_of_the_peers_window_to_a_terminal() -> None:
    pair = Server(client={"limits": Limits(peer_streams=20, held_max=0)})
    writers = [Recorder() for _ in range(5)]
    for writer in writers:
        pair.channel(writer, Stubborn())
    for writer in writers:
        writer.transport.write(bytes(300_000))
    pair.network.pass_time(20)
    assert pair.quic._credit() == RESERVE, "the connection's window is used up"
    typed, screen = Recorder(), Recorder()
    pair.session.accept_streams = lambda: screen
    pair.server_session.open_stream(typed, priority=Priority.INTERACTIVE)
    typed.transport.write(b"still here")
    pair.network.until(lambda: screen.data == b"still here")


def test_whoever_waits_for_credit_goes_on_when_it_comes() -> None:
    pair = Server()
    writer, reader = Recorder(), Stubborn()
    pair.channel(writer, reader)
    writer.transport.write(bytes(600_000))
    pair.network.pass_time(5)
    stream = pair.quic._streams[writer.transport.stream_id]
    assert stream.place is Place.OUT, "it costs nothing meanwhile"
    reader.transport.resumeProducing()
    pair.network.until(lambda: len(reader.data) == 600_000)


@pytest.mark.parametrize("seed", [3, 4])
def test_all_classes_arrive_whole_over_a_bad_link(seed: int) -> None:
    pair = Server(seed=seed, loss=0.05, delay=0.03, jitter=0.02, duplicate=0.02)
    ends = [pair.stream(priority) for priority in list(Priority) * 3]
    for writer, _ in ends:
        Source(pair.network, writer.transport, 60_000, piece=10_000)
    pair.network.until(lambda: all(reader.lost for _, reader in ends), timeout=300)
    assert [len(reader.data) for _, reader in ends] == [60_000] * len(ends)
    pair.network.pass_time(30)
    assert pair.quic.unsent_total == 0
    assert not any(writer.transport.stream_id in pair.quic._streams for writer, _ in ends)
    assert not pair.quic._schedule.news


def test_a_lost_limit_is_announced_again() -> None:
    pair = Server()
    writer, _ = pair.stream(Priority.BULK)
    quic = pair.client.driver.quic
    stream = quic._streams[writer.transport.stream_id]
    stream.max_stream_data_local += 1000
    quic._schedule.tell(stream)
    pair.client.driver.transmit_soon()
    pair.network.pass_time(1)
    assert stream.max_stream_data_local_sent == stream.max_stream_data_local
    quic._on_max_stream_data_delivery(QuicDeliveryState.LOST, stream)
    assert list(quic._schedule.news) == [stream]
    pair.client.driver.transmit_soon()
    pair.network.pass_time(1)
    assert stream.max_stream_data_local_sent == stream.max_stream_data_local


def test_streams_that_the_peer_does_not_admit_yet_go_when_it_does() -> None:
    pair = Pair(server={"limits": Limits(peer_streams=10)})
    quic = pair.client.driver.quic
    answers: list[int] = []
    for _ in range(60):
        answer = pair.client.request("GET", "/nothing")
        answer.addCallback(lambda response: answers.append(response.status))
    assert len(quic._streams_blocked_bidi) == 51, "the session has one of the ten"
    assert all(isinstance(stream, Stream) for stream in quic._streams.values())
    pair.network.until(lambda: len(answers) == 60)
    assert set(answers) == {404}


def test_the_controller_hears_that_there_was_nothing_more_to_send(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = Server(delay=0.1)
    writer, _ = pair.stream(Priority.BULK)
    pair.network.pass_time(1)
    heard: list[float] = []
    controller = pair.quic._loss._cc
    monkeypatch.setattr(
        type(controller),
        "on_application_limited",
        lambda self, now: heard.append(now) if self is controller else None,
        raising=False,
    )
    writer.transport.write(b"little")
    pair.network.pass_time(0)
    assert heard == [pair.network.clock.seconds()]
    pair.network.pass_time(1)
    heard.clear()
    writer.transport.write(bytes(MIB))
    pair.network.pass_time(0.15)
    assert pair.quic.unsent_total > 0
    assert heard == []


def test_datagrams_are_not_offered() -> None:
    with pytest.raises(RuntimeError):
        Pair().client.driver.quic.send_datagram_frame(b"x")
