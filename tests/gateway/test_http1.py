"""One visitor's connection: order, framing, limits, and what is refused before any device."""

from __future__ import annotations

import pytest
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from edgetainer.gateway.limits import Limits
from edgetainer.gateway.pages import Reply
from tests.gateway.support import HOST, Memory, request
from tests.gateway.test_head import MALFORMED

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_answered_and_never_reaches_the_container(name: str) -> None:
    text, code = MALFORMED[name]
    memory = Memory()
    answer = memory.send(text.encode("latin-1") + b"\r\nabcGET / HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 4")
    assert f"x-edgetainer-error: {code}\r\n".encode() in answer.lower()
    assert b"connection: close\r\n" in answer.lower()
    assert memory.line.disconnecting
    assert memory.container.lines == []
    assert memory.send(request()) == b"", "nothing is read after it"
    assert memory.container.lines == []


def test_bare_line_feeds_are_refused_at_once_not_after_a_timeout() -> None:
    memory = Memory()
    assert memory.send(b"GET / HT").startswith(b"")
    assert b" 400 " in memory.send(b"TP/1.1\nHost: x\n")
    assert memory.container.lines == []


def test_a_head_that_never_ends_is_refused_at_16_kib() -> None:
    memory = Memory()
    answer = b""
    for _ in range(20):
        answer += memory.send(b"GET /" + b"a" * 1024)
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"0x3\r\nabc\r\n",
        b"3\r\nabcX\r\n",
        b"3\nabc\r\n" + b"0" * 20000,
        b"f" * 21 + b"\r\n",
        b" 3\r\nabc\r\n",
    ],
)
def test_a_malformed_chunk_is_refused_and_the_container_sees_no_end(body: bytes) -> None:
    memory = Memory()
    answer = memory.send(request("Transfer-Encoding: chunked", method="POST", body=body))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert memory.container.line.aborted
    assert not memory.container.received.endswith(b"0\r\n\r\n")
    assert memory.line.disconnecting


def test_requests_follow_each_other_on_one_connection() -> None:
    memory = Memory()
    for number in range(3):
        assert memory.send(request(target=f"/{number}")) == b""
        assert b"GET /%d HTTP/1.1\r\n" % number in memory.container.line.taken()
        assert memory.answer(OK) == OK.replace(b"Content-Length", b"content-length")
    assert len(memory.container.lines) == 3
    assert not memory.line.disconnecting


def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    memory = Memory()
    first = request("Content-Length: 3", method="POST", target="/1", body=b"abc")
    memory.send(first + request(target="/2") + request(target="/3"))
    for number in (1, 2, 3):
        assert len(memory.container.lines) == number
        assert b"/%d HTTP" % number in memory.container.received
        answer = memory.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
        assert answer.endswith(b"\r\n\r\n%d" % number)


def test_thousands_of_pipelined_requests_need_no_stack() -> None:
    memory = Memory(limits=Limits(requests=100_000, backlog_bytes=10**9))
    unknown = request(target="/.edgetainer/nothing")

    memory.door.way = Reply(404, ((b"content-length", b"1"),), b"x")
    answer = memory.send(unknown * 5000)
    assert answer.count(b"HTTP/1.1 404") == 5000


def test_a_visitor_that_does_not_read_is_not_answered_further() -> None:
    memory = Memory()

    memory.door.way = Reply(404, ((b"content-length", b"1"),), b"x")
    memory.protocol.pauseProducing()
    assert memory.send(request() * 2000) == b""
    assert memory.line.producerState == "paused", "and not read from without bound"
    memory.protocol.resumeProducing()
    assert memory.line.taken().count(b"HTTP/1.1 404") == 1000


def test_an_empty_line_before_a_request_is_tolerated_once() -> None:
    memory = Memory()
    memory.send(b"\r\n" + request())
    assert memory.answer(OK)
    assert memory.send(b"\r\n\r\n\r\n" + request()).startswith(b"HTTP/1.1 400")


def test_the_connection_ends_after_its_last_request() -> None:
    memory = Memory(limits=Limits(requests=2))
    memory.send(request())
    assert b"close" not in memory.answer(OK)
    memory.send(request() + request())
    assert b"connection: close" in memory.answer(OK).lower()
    assert memory.line.disconnecting
    assert len(memory.container.lines) == 2


@pytest.mark.parametrize("pieces", [0, 1, 40])
def test_headers_have_ten_seconds_however_they_dribble(pieces: int) -> None:
    memory = Memory()
    head = request()
    for index in range(pieces):
        memory.send(head[index : index + 1])
        memory.clock.advance(9.9 / max(pieces, 1))
    assert memory.advance(10, step=0.05).startswith(b"HTTP/1.1 408 ")
    assert memory.line.disconnecting
    assert memory.clock.seconds() < 20


def test_an_idle_connection_is_closed_after_a_minute() -> None:
    memory = Memory()
    memory.send(request())
    memory.answer(OK)
    assert memory.advance(59) == b""
    assert not memory.line.disconnecting
    memory.advance(2)
    assert memory.line.disconnecting
    assert not memory.line.aborted


def test_a_later_head_has_ten_seconds_from_its_first_byte() -> None:
    memory = Memory()
    memory.send(request())
    memory.answer(OK)
    memory.advance(50)
    memory.send(b"G")
    assert memory.advance(9) == b""
    assert memory.advance(2).startswith(b"HTTP/1.1 408 ")


def test_a_visitor_that_does_not_let_go_is_dropped() -> None:
    memory = Memory()
    memory.send(b"\0\r\n\r\n")
    assert memory.line.disconnecting
    memory.advance(59)
    assert not memory.line.aborted
    memory.advance(2)
    assert memory.line.aborted


def test_an_http10_visitor_gets_an_answer_ended_by_the_close() -> None:
    memory = Memory()
    memory.send(f"GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
    answer = memory.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    answer += memory.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    answer += memory.answer(b"2\r\nok\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"chunked" not in answer
    assert answer.endswith(b"\r\n\r\nok")
    assert memory.line.disconnecting


def test_head_204_and_304_have_no_body() -> None:
    memory = Memory()
    memory.send(request(method="HEAD"))
    answer = memory.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    assert b"content-length: 1000\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
    memory.send(request(method="DELETE"))
    answer = memory.answer(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
    assert answer == b"HTTP/1.1 204 No Content\r\n\r\n"
    memory.send(request('If-None-Match: "a"'))
    answer = memory.answer(b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n')
    assert b'etag: "a"\r\ncontent-length: 5\r\n\r\n' in answer
    memory.send(request())
    assert memory.answer(OK).endswith(b"ok"), "the connection goes on"


def test_a_chunked_body_is_framed_anew() -> None:
    memory = Memory()
    memory.send(request("Transfer-Encoding: chunked", method="POST", body=b"3;x=y\r\nabc\r\n"))
    memory.send(b"2\r\nde\r\n0\r\nTrailer: dropped\r\n\r\n")
    head, _, body = memory.container.received.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


def test_continue_is_passed_on_and_said_once() -> None:
    memory = Memory()
    ask = request("Expect: 100-continue", "Content-Length: 2", method="POST")
    assert memory.send(ask) == b""
    assert b"expect: 100-continue\r\n" in memory.container.received
    assert memory.answer(b"HTTP/1.1 100 Continue\r\n\r\n") == b"HTTP/1.1 100 \r\n\r\n"
    assert memory.advance(5) == b""
    memory.send(b"hi")
    assert memory.container.received.endswith(b"\r\n\r\nhi")
    assert memory.answer(OK).endswith(b"ok")


def test_a_container_that_knows_no_continue_is_helped() -> None:
    memory = Memory()
    memory.send(request("Expect: 100-continue", "Content-Length: 2", method="POST"))
    assert memory.advance(1, step=0.5) == b"HTTP/1.1 100 \r\n\r\n"


@pytest.mark.parametrize("hints", [b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"])
def test_a_refusal_instead_of_continue_ends_the_connection(hints: bytes) -> None:
    memory = Memory()
    memory.send(request("Expect: 100-continue", "Content-Length: 2", method="POST"))
    if hints:
        assert memory.answer(hints).startswith(b"HTTP/1.1 103 ")
    answer = memory.answer(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    assert b"connection: close\r\n" in answer.lower()
    memory.advance(11)
    assert memory.line.disconnecting


def test_an_early_answer_lets_a_small_rest_of_the_body_pass() -> None:
    memory = Memory()
    memory.send(request("Content-Length: 6", method="POST", body=b"abc"))
    assert memory.answer(OK).endswith(b"ok")
    assert memory.container.line.aborted, "a cut request must not look complete"
    memory.send(b"def" + request(target="/next"))
    assert len(memory.container.lines) == 2
    assert b"GET /next" in memory.container.line.value()


def test_an_early_answer_does_not_wait_for_a_large_rest() -> None:
    memory = Memory()
    memory.send(request("Content-Length: 9999999", method="POST", body=b"abc"))
    memory.answer(OK)
    for _ in range(10):
        memory.send(b"x" * 65536)
    assert memory.line.disconnecting


def test_reading_ahead_is_bounded_while_an_answer_is_under_way() -> None:
    memory = Memory()
    memory.send(request())
    memory.send(request(target="/2") * 300)
    assert memory.line.producerState == "producing"
    memory.send(b"x" * 65536)
    assert memory.line.producerState == "paused"


def test_a_visitor_that_leaves_takes_its_exchange_along() -> None:
    memory = Memory()
    memory.send(request())
    memory.protocol.connectionLost(Failure(ConnectionLost()))
    assert memory.container.line.disconnecting
    assert memory.clock.getDelayedCalls() == []
