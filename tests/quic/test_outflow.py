"""Producers are paused by what is unsent, and never starved by others."""

from __future__ import annotations

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
    pair = Pair()
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
