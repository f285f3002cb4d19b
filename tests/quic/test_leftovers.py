"""Streams that nobody reads, and requests that nobody answers."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.web.resource import Resource

from edgetainer.quic.credit import CONNECTION_WINDOW
from edgetainer.quic.leftovers import Sink
from edgetainer.quic.requests import ClientExchange
from tests.quic.pair import Pair, Recorder, Source


def test_what_still_comes_on_a_dropped_stream_gives_its_credit_back() -> None:
    """Far more than a connection's window: without credit the sender would stop."""
    pair = Pair()
    client = pair.client.driver.quic
    total = 0
    for _ in range(2 * CONNECTION_WINDOW // 100_000):
        waiting = pair.client.request("POST", "/nothing", body=bytes(100_000))
        assert pair.network.run(waiting).status == 404
        total += 100_000
    assert total > CONNECTION_WINDOW
    pair.network.pass_time(5)
    server = pair.server_connection.driver.quic
    assert server._local_max_data.used == server._window.consumed
    assert client.unsent_total == 0
    assert not any(isinstance(each, Sink) for each in pair.server_connection._incoming.values())


def test_a_request_to_nobody_may_be_taken_back() -> None:
    pair = Pair()
    waiting = pair.client.request("POST", "/nothing", body=bytes(400_000))
    waiting.addErrback(lambda _: None)
    pair.network.pass_time(0.015)
    waiting.cancel()
    pair.network.pass_time(5)
    assert pair.server_connection._exchanges.keys() == {0}
    assert pair.network.run(pair.client.request("GET", "/")).status == 404


def test_an_unread_stream_beside_them_is_left_alone() -> None:
    pair = Pair()
    reader, writer = Recorder(), Recorder()
    pair.channel(writer, reader)
    Source(pair.network, writer.transport, 500_000)
    assert pair.network.run(pair.client.request("GET", "/")).status == 404
    pair.network.until(lambda: len(reader.data) == 500_000)


@pytest.mark.parametrize(
    "head",
    [
        [(b":method", b"CONNECT"), (b":protocol", b"websocket")],
        [(b":method", b"CONNECT")],
    ],
)
def test_other_kinds_of_connect_are_no_sessions(head: list[tuple[bytes, bytes]]) -> None:
    pair = Pair(site=Resource())
    asked = len(pair.requests)
    connection: Any = pair.client
    stream_id = connection.driver.quic.get_next_available_stream_id()
    rest = [(b":scheme", b"https"), (b":authority", b"server.test"), (b":path", b"/tunnel")]
    exchange = ClientExchange(connection, stream_id, limit=1000)
    connection.replace_exchange(stream_id, exchange)
    connection.framing.send_headers(stream_id, head + rest, end_stream=True)
    connection.driver.transmit_soon()
    assert pair.network.run(exchange.done).status == 501
    assert len(pair.requests) == asked
