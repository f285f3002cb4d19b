"""HTTP/3 connections: requests, pings, and how they end."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionLost
from twisted.web.resource import Resource

from edgetainer.quic.errors import ConnectionClosed, StreamLimit
from tests.quic.pair import Pair


class Hello(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"hello " + request.path


@pytest.fixture
def pair() -> Pair:
    return Pair(site=Hello())


def test_a_request_is_answered(pair: Pair) -> None:
    response = pair.network.run(pair.client.request("GET", "/world"))
    assert (response.status, response.body) == (200, b"hello /world")


def test_a_server_without_a_site_answers_404() -> None:
    pair = Pair()
    assert pair.network.run(pair.client.request("GET", "/world")).status == 404


def test_two_hundred_requests_beside_a_megabyte_on_a_stream() -> None:
    from tests.quic.pair import Recorder, Source

    pair = Pair(site=Hello(), seed=11, loss=0.02, delay=0.02)
    reader, writer = Recorder(), Recorder()
    pair.channel(writer, reader)
    Source(pair.network, writer.transport, 1 << 20)
    answers: list[Any] = []
    for number in range(200):
        pair.client.request("GET", f"/{number}").addCallback(answers.append)
    pair.network.until(lambda: len(answers) == 200 and len(reader.data) == 1 << 20)
    assert {answer.body for answer in answers} == {b"hello /%d" % n for n in range(200)}


def test_a_ping_takes_a_round_trip(pair: Pair) -> None:
    before = pair.network.clock.seconds()
    pair.network.run(pair.client.ping())
    assert 0.02 <= pair.network.clock.seconds() - before < 0.1
    pair.network.run(pair.server_connection.ping())


def test_last_received_follows_authentic_packets_only(pair: Pair) -> None:
    server = pair.server_connection
    pair.network.pass_time(30)
    last = server.last_received
    cid = server.driver.quic.host_cid
    pair.server.datagram_received(bytes([0x40]) + cid + bytes(40), ("203.0.113.9", 1))
    assert server.last_received == last
    pair.network.run(pair.client.ping())
    assert server.last_received > last


def test_closing_tells_the_peer_cleanly(pair: Pair) -> None:
    ours, theirs = pair.client.notify_close(), pair.server_connection.notify_close()
    again = pair.server_connection.notify_close()
    pair.client.close()
    assert pair.network.run(ours) is None
    assert pair.network.run(theirs) is None
    assert pair.network.run(again) is None
    assert pair.network.run(pair.client.notify_close()) is None, "late waiters are told too"


def test_closing_with_a_code_is_a_failure_with_the_code_and_the_reason(pair: Pair) -> None:
    theirs = pair.client.notify_close()
    ping = pair.client.ping()
    pair.server_connection.close(0x1234, "go away")
    with pytest.raises(ConnectionClosed) as caught:
        pair.network.run(theirs)
    assert (caught.value.code, caught.value.reason, caught.value.by_peer) == (
        0x1234,
        "go away",
        True,
    )
    with pytest.raises(ConnectionLost):
        pair.network.run(ping)


def test_a_lost_close_is_said_again(pair: Pair) -> None:
    pair.network.up = False
    pair.server_connection.close(7, "bye")
    pair.network.pass_time(0.01)
    pair.network.up = True
    theirs = pair.client.notify_close()
    pair.client.ping().addErrback(lambda _: None)
    with pytest.raises(ConnectionClosed):
        pair.network.run(theirs, timeout=1.0)


def test_what_waits_fails_when_the_connection_ends(pair: Pair) -> None:
    request = pair.client.request("GET", "/")
    session = pair.client.open_session("/later")
    pair.client.close(5, "enough")
    for waiting in (request, session, pair.client.request("GET", "/"), pair.client.ping()):
        with pytest.raises(ConnectionClosed):
            pair.network.run(waiting)


def test_more_requests_than_the_peer_admits_are_refused_here(pair: Pair) -> None:
    waiting = [pair.client.request("GET", "/") for _ in range(300)]
    failed: list[Any] = []
    for each in waiting:
        each.addErrback(failed.append)
    assert failed
    assert all(failure.check(StreamLimit) for failure in failed)


def test_a_server_opened_stream_that_is_no_session_stream_ends_the_connection(
    pair: Pair,
) -> None:
    quic = pair.server_connection.driver.quic
    quic.send_stream_data(quic.get_next_available_stream_id(), b"\x01\x02\x00\x00")
    pair.server_connection.driver.transmit_soon()
    with pytest.raises(ConnectionClosed):
        pair.network.run(pair.client.notify_close())


def test_the_connection_follows_a_client_that_moves(pair: Pair) -> None:
    pair.network.run(pair.client.ping())
    carrier: Any = pair.client.driver.carrier
    carrier.move(("203.0.113.77", 999))
    pair.network.run(pair.client.ping())
    assert pair.network.run(pair.client.request("GET", "/moved")).body == b"hello /moved"
    assert pair.server_connection.peer == ("203.0.113.77", 999)


def test_books_are_empty_when_everything_is_over(pair: Pair) -> None:
    for number in range(20):
        pair.network.run(pair.client.request("GET", f"/{number}"))
    pair.network.pass_time(5)
    for connection in (pair.client, pair.server_connection):
        assert set(connection._exchanges) == {0}, "only the session's own stream is left"
        assert connection._incoming == {}
        assert connection._uncredited == {}
        assert connection._requests == set()
        assert connection.driver.quic.unsent_total == 0
