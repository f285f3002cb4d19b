"""Producers are paused by what is unsent, and never starved by others."""

from __future__ import annotations

import pytest

from edgetainer.quic.crediting import Limits
from tests.quic.pair import Pair, Recorder, Source, Stubborn

MIB = 1024 * 1024


def test_a_producer_pauses_at_its_bound_and_resumes_below_half() -> None:
    pair = Pair()
    reader, writer = Stubborn(), Recorder()
    pair.channel(writer, reader)
    source = Source(pair.network, writer.transport, 8 * MIB, piece=16384)
    pair.network.pass_time(5)
    quic = pair.server_connection.driver.quic
    stream_id = writer.transport.stream_id
    assert source.paused
    assert 128 * 1024 < quic.unsent(stream_id) <= 256 * 1024 + 16384
    reader.transport.resumeProducing()
    pauses = source.pauses
    pair.network.until(lambda: len(reader.data) > 2 * MIB)
    assert source.pauses > pauses, "it goes on, and is held again"


def test_a_full_connection_leaves_every_stream_its_floor() -> None:
    pair = Pair(client={"limits": Limits(peer_streams=100, stream_window=MIB // 4)})
    for _ in range(20):
        writer = Recorder()
        pair.channel(writer, Stubborn())
        Source(pair.network, writer.transport, 2 * MIB)
    pair.network.pass_time(10)
    quic = pair.server_connection.driver.quic
    print(f"unsent: {quic.unsent_total} bytes")
    # Above what lets producers go on, and no further than one write over the bound.
    assert MIB < quic.unsent_total < 6 * MIB
    reader, writer = Recorder(), Recorder()
    pair.channel(writer, reader)
    source = Source(pair.network, writer.transport, MIB)
    pair.network.until(lambda: len(reader.data) == MIB)
    assert source.pauses > 0


def test_only_one_producer_at_a_time() -> None:
    pair = Pair()
    writer = Recorder()
    pair.channel(writer, Stubborn())
    Source(pair.network, writer.transport, 8 * MIB)
    try:
        writer.transport.registerProducer(object(), True)
    except RuntimeError:
        return
    raise AssertionError("a second producer was taken")


class Faulty:
    """A producer of ours with a mistake in one of its methods."""

    def __init__(self, faulty: str) -> None:
        self.faulty = faulty
        self.called: list[str] = []

    def _call(self, name: str) -> None:
        self.called.append(name)
        if name == self.faulty:
            raise RuntimeError(f"a mistake in {name}")

    def pauseProducing(self) -> None:
        self._call("pause")

    def resumeProducing(self) -> None:
        self._call("resume")

    def stopProducing(self) -> None:
        self._call("stop")


@pytest.mark.parametrize("faulty", ["pause", "resume"])
def test_a_producers_mistake_costs_its_stream_and_no_other(
    faulty: str, logged_failures: list[str]
) -> None:
    pair = Pair()
    reader, writer = Recorder(), Recorder()
    other_reader, other_writer = Recorder(), Recorder()
    pair.channel(writer, reader)
    pair.channel(other_writer, other_reader)
    Source(pair.network, other_writer.transport, 4 * MIB)
    producer = Faulty(faulty)
    writer.transport.registerProducer(producer, True)
    writer.transport.write(bytes(MIB))
    assert writer.lost is None, "never from within the write"
    pair.network.until(lambda: writer.lost is not None)
    assert writer.lost.check(RuntimeError)
    assert producer.called[-1] == faulty, "it is not asked again"
    pair.network.until(lambda: reader.lost is not None and len(other_reader.data) == 4 * MIB)
    assert "a mistake in" in logged_failures.pop()


def test_a_producer_that_cannot_be_stopped_does_not_hide_the_end_from_the_others(
    logged_failures: list[str],
) -> None:
    pair = Pair()
    writers = [Recorder() for _ in range(3)]
    for writer in writers:
        pair.channel(writer, Recorder())
        writer.transport.registerProducer(Faulty("stop"), True)
    over = pair.server_connection.notify_close()
    pair.client.close()
    assert pair.network.run(over) is None
    assert all(writer.lost is not None for writer in writers)
    assert len(logged_failures) == 3
    logged_failures.clear()
