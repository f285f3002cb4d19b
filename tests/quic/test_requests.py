"""The client's side of requests: what is sent, what is made of the answers."""

from __future__ import annotations

from typing import Any

import pylsqpack
import pytest
from aioquic.buffer import encode_uint_var
from aioquic.quic.events import StreamDataReceived
from twisted.internet.defer import CancelledError

from edgetainer.quic.errors import ResponseTooLarge, StreamReset
from edgetainer.quic.requests import ClientExchange, Response, request_head
from tests.quic.pair import Pair


def test_a_body_brings_its_length_unless_the_caller_said_it() -> None:
    def lengths(length: int, *headers: tuple[bytes, bytes]) -> list[bytes]:
        head = request_head("PUT", b"a.test", "/", headers, length=length)
        return [value for name, value in head if name == b"content-length"]

    assert lengths(0) == []
    assert lengths(7) == [b"7"]
    assert lengths(7, (b"Content-Length", b"7")) == [b"7"]


def test_pseudo_headers_come_first() -> None:
    head = request_head("GET", b"a.test", "/x?y=1", [(b"Accept", b"*/*")], length=0)
    assert [name for name, _ in head] == [
        b":method", b":scheme", b":authority", b":path", b"accept",
    ]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), [("G\u00cbT", "/"), ("GET", "/\u00fc")])
def test_what_is_not_ascii_is_refused_before_anything_is_sent(method: str, path: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        request_head(method, b"a.test", path, [], length=0)


def test_headers_are_found_by_name() -> None:
    response = Response(200, ((b"etag", b"1"), (b"x", b"2"), (b"x", b"3")), b"")
    assert response.header(b"x") == b"2"
    assert response.header(b"y") is None


class Asked:
    """One request whose answer the test gives, event by event."""

    def __init__(self, limit: int = 10) -> None:
        self.pair = Pair()
        quic = self.pair.client.driver.quic
        self.stream_id = quic.get_next_available_stream_id()
        self.exchange = ClientExchange(self.pair.client, self.stream_id, limit=limit)
        self.pair.client.replace_exchange(self.stream_id, self.exchange)
        quic.send_stream_data(self.stream_id, b"")
        self.results: list[Any] = []
        self.exchange.done.addCallbacks(
            self.results.append, lambda reason: self.results.append(reason.value)
        )


def test_interim_answers_and_trailers_are_passed_over() -> None:
    asked = Asked()
    asked.exchange.headers_received([(b":status", b"103"), (b"link", b"</x>")], False)
    asked.exchange.headers_received([(b":status", b"200"), (b"a", b"b")], False)
    asked.exchange.body_received(b"body", False)
    assert asked.results == []
    asked.exchange.headers_received([(b"x-checksum", b"1")], True)
    assert asked.results == [Response(200, ((b"a", b"b"),), b"body")]


def test_a_body_may_be_as_large_as_the_caller_allows_and_no_larger() -> None:
    exact, larger = Asked(limit=10), Asked(limit=10)
    for asked, size in ((exact, 5), (larger, 6)):
        asked.exchange.headers_received([(b":status", b"200")], False)
        asked.exchange.body_received(b"12345", False)
        asked.exchange.body_received(bytes(size), True)
    assert exact.results[0].body == b"12345" + bytes(5)
    assert isinstance(larger.results[0], ResponseTooLarge)
    assert larger.stream_id not in larger.pair.client._exchanges, "nobody collects the rest"


def test_what_comes_after_the_end_changes_nothing() -> None:
    asked = Asked()
    asked.exchange.reset_received(5)
    assert isinstance(asked.results[0], StreamReset)
    asked.exchange.headers_received([(b":status", b"200")], True)
    asked.exchange.body_received(b"late", True)
    asked.exchange.reset_received(6)
    assert len(asked.results) == 1


def test_cancelling_drops_the_stream() -> None:
    asked = Asked()
    asked.exchange.done.cancel()
    assert isinstance(asked.results[0], CancelledError)
    asked.exchange.headers_received([(b":status", b"200")], True)
    assert len(asked.results) == 1
    assert asked.stream_id not in asked.pair.client._exchanges


def test_trailers_behind_what_is_too_large_cost_the_request_only() -> None:
    """All of it may come in one event, the end of a stream that was given up in its middle."""
    asked = Asked(limit=10)
    connection = asked.pair.client
    encoder = pylsqpack.Encoder()
    encoder.apply_settings(0, 0)
    frames = b""
    for frame_type, content in (
        (0x1, b"".join(encoder.encode(asked.stream_id, [(b":status", b"200")]))),
        (0x0, bytes(11)),
        (0x1, b"".join(encoder.encode(asked.stream_id, [(b"x-checksum", b"1")]))),
    ):
        frames += encode_uint_var(frame_type) + encode_uint_var(len(content)) + content
    connection.quic_event(StreamDataReceived(frames, True, asked.stream_id))
    assert isinstance(asked.results[0], ResponseTooLarge)
    asked.pair.network.run(connection.ping())
