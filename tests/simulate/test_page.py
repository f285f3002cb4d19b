"""The page on a simulated device's ports."""

from __future__ import annotations

import pytest
from twisted.internet.testing import StringTransport

from edgetainer.simulate.page import MAX_HEAD, Page


def page() -> tuple[Page, StringTransport]:
    made, transport = Page("sim-1", "web<b>", 80), StringTransport()
    made.makeConnection(transport)
    return made, transport


def ask(text: bytes) -> tuple[bytes, StringTransport]:
    made, transport = page()
    made.dataReceived(text)
    return transport.value(), transport


def test_the_page_says_where_one_is_and_escapes_it() -> None:
    said, transport = ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"Content-Length: %d" % len(body) in head
    assert b"web&lt;b&gt;:80 on sim-1" in body
    assert not transport.disconnecting


def test_several_requests_come_in_any_pieces() -> None:
    made, transport = page()
    for byte in b"GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\nConnection: close\r\n\r\n":
        made.dataReceived(bytes([byte]))
    assert transport.value().count(b"HTTP/1.1 200") == 2
    assert transport.value().endswith(b"\r\n\r\n"), "HEAD has no body"
    assert transport.disconnecting


@pytest.mark.parametrize(
    ("request_", "status", "stays"),
    [
        (b"GET /other HTTP/1.1\r\n\r\n", b"404", True),
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"405", False),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"405", False),
        (b"GET / HTTP/1.0\r\n\r\n", b"200", False),
        (b"GET /bytes/x HTTP/1.1\r\n\r\n", b"400", False),
        (b"GET /bytes/99999999999 HTTP/1.1\r\n\r\n", b"400", False),
    ],
)
def test_what_is_answered(request_: bytes, status: bytes, stays: bool) -> None:
    said, transport = ask(request_)
    assert said.split()[1] == status
    assert transport.disconnecting is not stays


def test_bytes_are_written_as_fast_as_they_are_taken() -> None:
    made, transport = page()
    made.dataReceived(b"GET /bytes/100000 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert transport.producer is None
    body = transport.value().partition(b"\r\n\r\n")[2]
    assert body[:100000] == (bytes(range(256)) * 400)[:100000]
    assert body[100000:].startswith(b"HTTP/1.1 200"), "the next request had to wait"


def test_a_paused_body_waits_and_the_next_request_with_it() -> None:
    made, transport = page()
    written: list[int] = []
    write = transport.write

    def pausing(data: bytes) -> None:
        write(data)
        if len(data) == 16 * 1024:
            written.append(len(data))
            made.pauseProducing()

    transport.write = pausing  # type: ignore[method-assign]
    made.dataReceived(b"GET /bytes/40000 HTTP/1.1\r\n\r\n")
    made.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
    assert written == [16 * 1024]
    assert transport.value().count(b"HTTP/1.1 200") == 1
    made.resumeProducing()
    made.resumeProducing()
    assert transport.value().count(b"HTTP/1.1 200") == 2


def test_many_requests_at_once_are_answered_one_by_one() -> None:
    said, _ = ask(b"GET /bytes/1 HTTP/1.1\r\n\r\n" * 2_000)
    assert said.count(b"HTTP/1.1 200") == 2_000


def test_a_head_without_end_is_cut_off() -> None:
    _, transport = ask(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (MAX_HEAD // 6))
    assert transport.disconnecting
