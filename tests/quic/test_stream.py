"""Streams as transports: back-pressure both ways and every kind of ending."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost

from edgetainer.quic.credit import STREAM_WINDOW
from edgetainer.quic.crediting import Limits
from edgetainer.quic.errors import StreamReset
from edgetainer.quic.stream import DELIVERY, QuicStreamTransport
from tests.network import SERVER
from tests.quic.pair import Echo, HalfCloser, Pair, Recorder, Source, Stubborn, pattern

MIB = 1024 * 1024


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_a_reader_that_never_reads_leaves_both_ends_within_two_mebibytes(pair: Pair) -> None:
    reader, writer = Stubborn(), Recorder()
    pair.channel(writer, reader)
    source = Source(pair.network, writer.transport, 100 * MIB)
    most = 0
    for _ in range(300):
        pair.network.pass_time(0.1)
        most = max(most, pair.buffered())
    print(f"at most {most} bytes in buffers")
    assert STREAM_WINDOW // 2 < most < 2 * MIB
    assert source.left > 98 * MIB
    assert reader.data == b""
    # And it was only held back: siblings pass, and it goes on when it is read.
    sibling_reader, sibling_writer = Recorder(), Recorder()
    pair.channel(sibling_writer, sibling_reader)
    Source(pair.network, sibling_writer.transport, 4 * MIB)
    pair.network.until(lambda: len(sibling_reader.data) == 4 * MIB)
    before = source.left
    reader.transport.resumeProducing()
    pair.network.until(lambda: len(reader.data) > 2 * MIB)
    assert source.left < before


def test_thirty_readers_that_never_read_do_not_stop_another() -> None:
    # Small windows of streams, to be quick; together four times the connection's.
    pair = Pair(client={"limits": Limits(peer_streams=100, stream_window=MIB // 8)})
    for _ in range(30):
        writer = Recorder()
        pair.channel(writer, Stubborn())
        Source(pair.network, writer.transport, MIB)
    pair.network.pass_time(20)
    reader, writer = Recorder(), Recorder()
    pair.channel(writer, reader)
    Source(pair.network, writer.transport, 2 * MIB)
    pair.network.until(lambda: len(reader.data) == 2 * MIB)


@pytest.mark.parametrize("seed", range(1, 6))
def test_bytes_arrive_in_order_on_a_bad_link(seed: int) -> None:
    pair = Pair(seed=seed, loss=0.05, delay=0.03, jitter=0.02, duplicate=0.02)
    reader, writer = Recorder(), Recorder()
    pair.channel(writer, reader)
    Source(pair.network, writer.transport, 300_000, piece=300_000)
    pair.network.until(lambda: reader.lost is not None, timeout=300)
    assert reader.data == pattern(300_000)
    assert reader.lost.check(ConnectionDone)
    assert writer.lost.check(ConnectionDone)


def test_a_reader_may_pause_and_resume_at_any_time(pair: Pair) -> None:
    class Moody(Recorder):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.transport.pauseProducing()
            pair.network.clock.callLater(0.001, self.transport.resumeProducing)

    reader, writer = Moody(), Recorder()
    pair.channel(writer, reader)
    Source(pair.network, writer.transport, 3 * MIB, piece=3 * MIB)
    pair.network.until(lambda: reader.lost is not None, timeout=600)
    assert reader.data == pattern(3 * MIB)
    assert pair.client.driver.quic._held == 0


def test_a_hole_that_is_filled_does_not_overrun_a_pause() -> None:
    class Once(Recorder):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.transport.pauseProducing()

    pair = Pair(delay=0.1)
    brisk, sibling = Recorder(), Recorder()
    pair.channel(sibling, brisk)
    Source(pair.network, sibling.transport, 4 * MIB)
    pair.network.until(lambda: brisk.lost is not None)
    reader, writer = Once(), Recorder()
    pair.channel(writer, reader)
    # The first of what is written is lost, and the rest waits behind it.
    pair.network.filter = lambda data, source, destination: source != SERVER
    writer.transport.write(pattern(1_000))
    pair.network.pass_time(0)
    pair.network.filter = None
    writer.transport.write(pattern(16 * DELIVERY))
    pair.network.until(lambda: bool(reader.data))
    assert len(reader.data) <= DELIVERY
    pair.network.pass_time(10)
    waiting = pair.buffered()
    assert waiting > 4 * DELIVERY
    assert len(reader.data) <= DELIVERY
    reader.transport.resumeProducing()
    pair.network.pass_time(1)
    assert pair.buffered() == waiting - DELIVERY


def test_a_hundred_streams_at_once() -> None:
    pair = Pair(seed=3, loss=0.01, delay=0.02, jitter=0.005)
    pair.session.accept_streams = Echo
    recorders = [Recorder() for _ in range(100)]
    for recorder in recorders:
        pair.server_session.open_stream(recorder)
        recorder.transport.write(pattern(5_000))
        recorder.transport.loseWriteConnection()
    pair.network.until(lambda: all(r.lost is not None for r in recorders), timeout=120)
    assert all(r.data == pattern(5_000) for r in recorders)
    pair.network.pass_time(5)
    assert pair.buffered() == 0
    assert len(pair.client.driver.quic._streams) < 10, "finished streams are forgotten"


def test_half_close_towards_protocols_that_know_it(pair: Pair) -> None:
    server, client = HalfCloser(), HalfCloser()
    pair.channel(server, client)
    server.transport.write(b"question")
    server.transport.loseWriteConnection()
    pair.network.until(lambda: client.ends == ["read"])
    assert client.data == b"question"
    assert server.ends == ["write"]
    assert client.lost is None
    assert server.lost is None
    client.transport.write(b"answer")
    client.transport.loseConnection()
    pair.network.until(lambda: server.lost is not None and client.lost is not None)
    assert server.data == b"answer"
    assert server.lost.check(ConnectionDone)
    assert client.lost.check(ConnectionDone)
    assert server.ends == ["write"], "the end of both is connectionLost alone"


def test_the_end_of_reading_ends_an_ordinary_protocol_after_its_writes(pair: Pair) -> None:
    class Replies(Recorder):
        def dataReceived(self, data: bytes) -> None:
            super().dataReceived(data)
            self.transport.write(pattern(100_000))

    server, client = HalfCloser(), Replies()
    pair.channel(server, client)
    server.transport.write(b"go")
    server.transport.loseWriteConnection()
    pair.network.until(lambda: server.lost is not None)
    assert client.lost.check(ConnectionDone)
    assert server.data == pattern(100_000)


def test_losing_the_connection_sends_what_was_written(pair: Pair) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    server.transport.write(pattern(2 * MIB))
    server.transport.loseConnection()
    server.transport.write(b"too late")
    pair.network.until(lambda: client.lost is not None and server.lost is not None)
    assert client.data == pattern(2 * MIB)


def test_losing_the_connection_waits_for_the_producer(pair: Pair) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    source = Source(pair.network, server.transport, MIB)
    server.transport.loseConnection()
    pair.network.until(lambda: client.lost is not None and server.lost is not None)
    assert len(client.data) == MIB
    assert source.pauses > 0


def test_aborting_resets_the_stream(pair: Pair) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    source = Source(pair.network, client.transport, 50 * MIB)
    pair.network.until(lambda: bool(server.data))
    server.transport.abortConnection()
    assert server.lost is None, "never from within the call"
    pair.network.until(lambda: client.lost is not None and server.lost is not None)
    assert server.lost.check(ConnectionAborted)
    assert client.lost.check(StreamReset, ConnectionLost)
    assert source.stopped
    pair.network.pass_time(5)
    assert pair.buffered() == 0
    pair.network.run(pair.client.ping())


def test_aborted_streams_return_their_credit(pair: Pair) -> None:
    """Otherwise each abort would shrink the connection's window for ever."""
    for _ in range(8):
        server, client = Recorder(), Stubborn()
        pair.channel(server, client)
        Source(pair.network, server.transport, MIB)
        pair.network.pass_time(0.1)
        server.transport.abortConnection()
        pair.network.until(lambda client=client: client.lost is not None)
    reader, writer = Recorder(), Recorder()
    pair.channel(writer, reader)
    Source(pair.network, writer.transport, 2 * MIB)
    pair.network.until(lambda: len(reader.data) == 2 * MIB)


def test_resets_under_loss_return_their_credit() -> None:
    resets_return_their_credit(seed=5, count=4)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_many_resets_under_loss_return_their_credit(seed: int) -> None:
    resets_return_their_credit(seed=seed, count=40)


def resets_return_their_credit(*, seed: int, count: int) -> None:
    pair = Pair(seed=seed, loss=0.1, delay=0.02, jitter=0.01)
    for _ in range(count):
        server, client = Recorder(), Recorder()
        pair.channel(server, client)
        Source(pair.network, server.transport, MIB)
        pair.network.pass_time(0.1)
        server.transport.abortConnection()
        pair.network.until(lambda client=client: client.lost is not None)
    quic = pair.client.driver.quic
    pair.network.pass_time(10)
    outstanding = quic._local_max_data.used - quic._window.consumed
    assert outstanding == 0, "every byte that was sent is accounted for"


def test_a_reader_that_closes_stops_the_writer(pair: Pair) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    source = Source(pair.network, server.transport, 50 * MIB)
    pair.network.until(lambda: len(client.data) > 0)
    client.transport.loseConnection()
    pair.network.until(lambda: server.lost is not None)
    assert source.stopped
    assert client.lost.check(ConnectionDone)


def test_a_reader_that_reads_no_more_still_speaks(pair: Pair) -> None:
    server, client = HalfCloser(), HalfCloser()
    pair.channel(server, client)
    stream_id = client.transport.stream_id
    pair.client.driver.quic.abandon(stream_id, 0, reading=True, writing=False)
    pair.client.driver.transmit_soon()
    pair.network.until(lambda: server.ends == ["write"])
    late = Source(pair.network, server.transport, MIB)
    assert late.stopped
    client.transport.writeSequence([b"one ", b"and another"])
    client.transport.loseConnection()
    pair.network.until(lambda: server.lost is not None)
    assert server.data == b"one and another"
    assert server.lost.check(ConnectionDone)


def test_stopping_to_produce_is_closing(pair: Pair) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    client.transport.write(b"last words")
    client.transport.stopProducing()
    pair.network.until(lambda: server.lost is not None and client.lost is not None)
    assert server.data == b"last words"
    assert client.lost.check(ConnectionDone)


def test_a_failing_protocol_loses_its_stream_and_nothing_else(
    pair: Pair, logged_failures: list[str]
) -> None:
    class Broken(Recorder):
        def dataReceived(self, data: bytes) -> None:
            raise RuntimeError("bug")

    server, client = Recorder(), Broken()
    pair.channel(server, client)
    server.transport.write(b"x")
    pair.network.until(lambda: server.lost is not None)
    assert client.lost.check(RuntimeError)
    assert "bug" in logged_failures.pop()
    pair.network.run(pair.client.ping())


def test_the_end_of_the_connection_ends_every_stream(pair: Pair) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    source = Source(pair.network, server.transport, 50 * MIB)
    pair.network.pass_time(0.1)
    pair.client.close(3, "gone")
    pair.network.until(lambda: client.lost is not None and server.lost is not None)
    assert client.lost.check(ConnectionLost)
    assert server.lost.check(ConnectionLost)
    assert source.stopped


def test_writing_to_a_dead_stream_is_harmless(pair: Pair) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    transport = server.transport
    pair.client.close()
    pair.network.until(lambda: server.lost is not None)
    transport.write(b"nobody")
    transport.loseConnection()
    transport.abortConnection()
    transport.resumeProducing()
    producer = _Stopped()
    transport.registerProducer(producer, True)
    assert producer.stopped
    pair.network.pass_time(1)


class _Stopped:
    stopped = False

    def stopProducing(self) -> None:
        self.stopped = True


def test_addresses_are_udp(pair: Pair) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    transport: Any = client.transport
    assert isinstance(transport, QuicStreamTransport)
    assert transport.getPeer().type == "UDP"
    assert (transport.getPeer().host, transport.getPeer().port) == ("192.0.2.1", 8444)
    assert transport.getHost().host == "198.51.100.1"
