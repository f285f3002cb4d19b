"""WebTransport sessions: opening, refusing, streams both ways, closing."""

from __future__ import annotations

from typing import Any

import pytest
from aioquic.buffer import encode_uint_var
from twisted.internet.error import ConnectionLost

from edgetainer.quic.crediting import Limits
from edgetainer.quic.errors import (
    ConnectionClosed,
    SessionClosed,
    StreamLimit,
    StreamReset,
    failure,
)
from tests.network import Network
from tests.quic.pair import Echo, Pair, Recorder, Source, pattern


@pytest.fixture
def pair() -> Pair:
    return Pair()


@pytest.mark.parametrize("opener", ["server", "client"])
def test_either_end_opens_streams(pair: Pair, opener: str) -> None:
    ours, theirs = pair.server_session, pair.session
    if opener == "client":
        ours, theirs = theirs, ours
    theirs.accept_streams = Echo
    recorder = Recorder()
    ours.open_stream(recorder)
    recorder.transport.write(pattern(1 << 20))
    pair.network.until(lambda: len(recorder.data) == 1 << 20)
    assert recorder.data == pattern(1 << 20)


def test_a_stream_without_a_byte_is_announced(pair: Pair) -> None:
    accepted: list[Recorder] = []

    def accept() -> Recorder:
        accepted.append(Recorder())
        return accepted[-1]

    pair.session.accept_streams = accept
    pair.server_session.open_stream(Recorder())
    pair.network.until(lambda: len(accepted) == 1)


def test_streams_that_nobody_wants_are_turned_away(pair: Pair) -> None:
    recorder = Recorder()
    pair.server_session.open_stream(recorder)
    pair.network.until(lambda: recorder.lost is not None)
    pair.network.run(pair.client.ping())


def test_streams_of_unknown_sessions_are_turned_away(pair: Pair) -> None:
    connection = pair.server_connection
    quic = connection.driver.quic
    stream_id = quic.get_next_available_stream_id()
    quic.send_stream_data(stream_id, encode_uint_var(0x41) + encode_uint_var(400) + b"x" * 5000)
    connection.driver.transmit_soon()
    pair.network.until(lambda: not quic.can_send(stream_id))
    pair.network.run(pair.client.ping())


def test_streams_that_overtake_the_response_wait_for_it() -> None:
    """The server's answer is lost once; the stream that it opened at once is not."""
    network = Network(seed=4)
    sessions: list[Any] = []
    recorder = Recorder()

    def requested(request: Any) -> None:
        # The packet with the answer goes alone, and into the void.
        sessions.append(request.accept())
        network.clock.callLater(0.001, setattr, network, "up", True)
        network.clock.callLater(0.0005, setattr, network, "up", False)
        network.up = False
        network.clock.callLater(0.002, lambda: sessions[0].open_stream(recorder))

    def connected(connection: Any) -> None:
        connection.on_session = requested

    network.listen(on_connection=connected)
    client = network.run(network.connect())
    order: list[str] = []

    def accept() -> Echo:
        order.append("stream")
        return Echo()

    def opened(session: Any) -> Any:
        order.append("session")
        session.accept_streams = accept
        return session

    opening = client.open_session("/").addCallback(opened)
    network.until(lambda: bool(sessions) and recorder.transport is not None)
    recorder.transport.write(b"early")
    network.until(lambda: recorder.data == b"early")
    assert order == ["session", "stream"]
    assert opening.called


def test_the_limit_of_the_peer_is_told_and_frees_up() -> None:
    network = Network()
    sessions: list[Any] = []

    def connected(connection: Any) -> None:
        connection.on_session = lambda request: sessions.append(request.accept())

    network.listen(on_connection=connected)
    client = network.run(network.connect(limits=Limits(peer_streams=3)))
    session = network.run(client.open_session("/"))
    session.accept_streams = Echo
    recorders = [Recorder() for _ in range(3)]
    for recorder in recorders:
        sessions[0].open_stream(recorder)
    with pytest.raises(StreamLimit):
        sessions[0].open_stream(Recorder())
    for recorder in recorders:
        recorder.transport.loseConnection()
    network.pass_time(2)
    sessions[0].open_stream(Recorder())


def test_the_server_may_hold_a_thousand_and_twenty_four_streams(pair: Pair) -> None:
    pair.session.accept_streams = Echo
    recorders = [Recorder() for _ in range(1024)]
    for recorder in recorders:
        pair.server_session.open_stream(recorder)
    with pytest.raises(StreamLimit):
        pair.server_session.open_stream(Recorder())
    recorders[-1].transport.write(b"last")
    pair.network.until(lambda: recorders[-1].data == b"last")


def test_closing_a_session_ends_its_streams_and_not_the_connection(pair: Pair) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    Source(pair.network, server.transport, 10 << 20)
    ours, theirs = pair.session.notify_close(), pair.server_session.notify_close()
    pair.session.close()
    assert pair.network.run(ours) is None
    assert pair.network.run(theirs) is None
    pair.network.until(lambda: server.lost is not None and client.lost is not None)
    assert server.lost.check(ConnectionLost)
    with pytest.raises(ConnectionClosed):
        pair.session.open_stream(Recorder())
    session = pair.network.run(pair.client.open_session("/tunnel"))
    assert session is not pair.session
    pair.network.pass_time(5)
    assert pair.buffered() == 0


def test_a_session_closed_with_a_code_says_so(pair: Pair) -> None:
    theirs = pair.session.notify_close()
    pair.server_session.close(42, "replaced by a newer one")
    with pytest.raises(SessionClosed) as caught:
        pair.network.run(theirs)
    assert (caught.value.code, caught.value.reason) == (42, "replaced by a newer one")


@pytest.mark.parametrize("headers", [[], [(b"x-more", b"trailers")]])
def test_a_session_may_end_without_a_word(pair: Pair, headers: list[Any]) -> None:
    theirs = pair.server_session.notify_close()
    framing, session_id = pair.client.framing, pair.session._session_id
    if headers:
        framing.send_headers(session_id, headers, end_stream=True)
    else:
        framing.send_data(session_id, b"", end_stream=True)
    # What `close` does besides.
    pair.session._end(failure(ConnectionClosed(0, "", by_peer=False)))
    pair.session._let_go()
    assert pair.network.run(theirs) is None
    pair.server_session.close(1, "twice")
    assert pair.network.run(pair.server_session.notify_close()) is None
    pair.network.run(pair.client.ping())


@pytest.mark.parametrize("half", ["reading", "writing"])
def test_a_session_whose_stream_is_dropped_is_over(pair: Pair, half: str) -> None:
    server, client = Recorder(), Recorder()
    pair.channel(server, client)
    theirs = pair.server_session.notify_close()
    halves = {"reading": half == "reading", "writing": half == "writing"}
    pair.client.driver.quic.abandon(pair.session._session_id, 7, **halves)
    pair.client.driver.transmit_soon()
    with pytest.raises(StreamReset):
        pair.network.run(theirs)
    pair.network.until(lambda: server.lost is not None and client.lost is not None)
    pair.network.run(pair.client.ping())


def test_the_end_of_the_connection_ends_the_session(pair: Pair) -> None:
    theirs = pair.server_session.notify_close()
    pair.client.close(9, "off")
    with pytest.raises(ConnectionClosed):
        pair.network.run(theirs)


def test_a_stream_that_our_side_fails_to_take_costs_only_itself(
    pair: Pair, logged_failures: list[str]
) -> None:
    class Stillborn(Recorder):
        def connectionMade(self) -> None:
            raise RuntimeError("stillborn")

    def nothing() -> Recorder:
        raise RuntimeError("nothing to take it")

    for accept in (Stillborn, nothing):
        opener = Recorder()
        pair.session.accept_streams = accept
        pair.server_session.open_stream(opener)
        pair.network.until(lambda opener=opener: opener.lost is not None)
    assert len(logged_failures) == 2
    logged_failures.clear()
    pair.session.accept_streams = Echo
    recorder = Recorder()
    pair.server_session.open_stream(recorder)
    recorder.transport.write(b"still here")
    pair.network.until(lambda: recorder.data == b"still here")
