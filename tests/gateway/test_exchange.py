"""One request and its answer: what passes, who waits for whom, and how it ends."""

from __future__ import annotations

import json

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from edgetainer.errors import EdgetainerError
from edgetainer.gateway.limits import Limits
from tests.gateway.support import Memory, OpenDoor, request

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = request("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def lose(memory: Memory, error: type[Exception]) -> bytes:
    """End the container's connection; returns what the visitor got of it."""
    memory.container.line.protocol.connectionLost(Failure(error()))
    return memory.line.taken()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("host_unknown", 404),
        ("service_not_exposed", 404),
        ("device_offline", 503),
        ("port_closed", 502),
        ("device_timeout", 504),
        ("channel_refused", 502),
    ],
)
def test_what_stands_in_the_way_is_told_with_its_code(code: str, status: int) -> None:
    memory = Memory(door=OpenDoor(EdgetainerError(code, "dial 172.17.0.2:80 refused")))
    page = memory.send(request("Accept: text/html"))
    assert page.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: text/html" in page
    assert code.encode() in page
    assert b"172.17" not in page
    problem = memory.send(request("Accept: application/json"))
    document = json.loads(problem.partition(b"\r\n\r\n")[2])
    assert (document["code"], document["status"]) == (code, status)
    assert "172.17" not in document["detail"]
    assert not memory.line.disconnecting, "the request was good, so the connection stays"


def test_a_mistake_of_ours_is_told_as_such() -> None:
    memory = Memory()
    memory.door.way = None  # type: ignore[assignment]
    assert memory.send(request()).startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 40000,
    ],
)
def test_an_answer_that_is_not_http_is_told_as_such(garbage: bytes) -> None:
    memory = Memory()
    memory.send(request())
    answer = memory.answer(garbage)
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"upstream_invalid" in answer


def test_a_container_that_closes_without_a_word_is_told_as_such() -> None:
    memory = Memory()
    memory.send(request())
    assert b"upstream_invalid" in lose(memory, ConnectionDone)


def test_a_stream_that_breaks_before_the_answer_is_told_as_such() -> None:
    memory = Memory()
    memory.send(request())
    assert b"session_closed" in lose(memory, ConnectionLost)


def test_a_container_that_never_answers_is_given_up_after_two_minutes() -> None:
    memory = Memory()
    memory.send(request())
    assert memory.advance(119) == b""
    assert memory.advance(2).startswith(b"HTTP/1.1 504 ")
    assert memory.container.line.disconnecting


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (CHUNKED + b"3\r\nabc\r\n", ConnectionDone),
        (CHUNKED + b"3\r\nabc\r\n", ConnectionLost),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", ConnectionDone),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", ConnectionLost),
        (CHUNKED + b"3\r\nabc\r\nzz\r\n", None),
    ],
)
def test_an_answer_cut_short_breaks_the_connection(
    head: bytes, error: type[Exception] | None
) -> None:
    memory = Memory()
    memory.send(request())
    answer = memory.answer(head)
    assert b"abc" in answer
    if error is not None:
        answer += lose(memory, error)
    assert not answer.endswith(b"0\r\n\r\n")
    assert memory.line.aborted


def test_an_answer_that_ends_with_the_connection_is_framed_for_the_visitor() -> None:
    memory = Memory()
    memory.send(request())
    answer = memory.answer(b"HTTP/1.0 200 OK\r\n\r\nabc") + lose(memory, ConnectionDone)
    assert b"transfer-encoding: chunked" in answer.lower()
    assert answer.endswith(b"3\r\nabc\r\n0\r\n\r\n")
    assert not memory.line.disconnecting


def test_a_slow_visitor_pauses_the_container_and_loses_nothing() -> None:
    memory = Memory()
    memory.send(request())
    memory.answer(CHUNKED)
    memory.protocol.pauseProducing()
    assert memory.container.line.producerState == "paused"
    assert memory.answer(b"3\r\nabc\r\n0\r\n\r\n") == b"", "what was under way waits here"
    memory.protocol.resumeProducing()
    assert memory.line.taken() == b"3\r\nabc\r\n0\r\n\r\n"
    assert memory.send(request()) == b""
    assert len(memory.container.lines) == 2


def test_an_answer_that_came_whole_survives_the_loss_of_the_device() -> None:
    memory = Memory()
    memory.send(request())
    memory.answer(CHUNKED)
    memory.protocol.pauseProducing()
    memory.answer(b"3\r\nabc\r\n0\r\n\r\n")
    memory.container.line.protocol.readConnectionLost()
    assert lose(memory, ConnectionLost) == b""
    memory.protocol.resumeProducing()
    assert memory.line.taken() == b"3\r\nabc\r\n0\r\n\r\n"
    assert not memory.line.aborted


def test_a_visitor_slow_from_the_start_pauses_the_container_too() -> None:
    memory = Memory()
    memory.protocol.pauseProducing()
    memory.send(request())
    memory.protocol.resumeProducing()
    memory.protocol.pauseProducing()
    assert memory.container.line.producerState == "paused"


def test_a_slow_container_pauses_the_visitor_and_loses_nothing() -> None:
    memory = Memory()
    memory.send(request("Content-Length: 6", method="POST", body=b"abc"))
    memory.container.line.protocol.pauseProducing()
    assert memory.line.producerState == "paused"
    memory.send(b"def")
    assert memory.container.received.endswith(b"\r\n\r\nabc")
    memory.container.line.protocol.resumeProducing()
    assert memory.container.received.endswith(b"\r\n\r\nabcdef")
    assert memory.line.producerState == "producing"


@pytest.mark.parametrize("who", ["visitor", "container"])
def test_a_standstill_ends_after_five_minutes(who: str) -> None:
    memory = Memory()
    if who == "visitor":
        memory.send(request())
    else:
        memory.send(request("Content-Length: 6", method="POST", body=b"abc"))
    memory.answer(CHUNKED)
    (memory.protocol if who == "visitor" else memory.container.line.protocol).pauseProducing()
    memory.advance(295)
    assert not memory.line.aborted
    memory.advance(20)
    assert memory.line.aborted
    assert memory.container.line.disconnecting


def test_a_body_that_dribbles_is_given_up_and_a_steady_one_is_not() -> None:
    memory = Memory()
    memory.send(request("Content-Length: 99999", method="POST"))
    for _ in range(60):
        assert memory.send(b"x" * 300) + memory.advance(1) == b""
    for _ in range(31):
        memory.send(b"x")
        memory.advance(1)
    memory.advance(30)
    assert memory.line.disconnecting
    assert memory.container.line.aborted


def test_an_endless_answer_may_be_silent_for_as_long_as_it_likes() -> None:
    memory = Memory()
    memory.send(request())
    memory.answer(CHUNKED + b"5\r\nhello\r\n")
    memory.advance(3600, step=10)
    assert memory.answer(b"3\r\nyou\r\n") == b"3\r\nyou\r\n"


def test_who_may_be_here_is_checked_every_ten_seconds() -> None:
    memory = Memory()
    memory.send(request())
    memory.answer(CHUNKED)
    memory.advance(200)
    assert memory.door.rechecks == 20
    memory.door.recheck_error = EdgetainerError("forbidden")
    memory.advance(11)
    assert memory.line.aborted
    assert memory.container.line.disconnecting
    memory.advance(200)
    assert memory.door.rechecks == 21


def test_a_database_that_is_away_cuts_off_nothing_that_is_under_way() -> None:
    memory = Memory()
    memory.send(request())
    memory.answer(CHUNKED)
    memory.door.recheck_error = EdgetainerError("unavailable")
    memory.advance(60)
    assert not memory.line.aborted
    memory.door.recheck_error = EdgetainerError("service_not_exposed")
    memory.advance(11)
    assert memory.line.aborted


def test_an_upgrade_becomes_a_pipe_in_both_directions() -> None:
    memory = Memory()
    memory.send(UPGRADE + b"early from visitor")
    asked = memory.container.line.taken()
    assert b"connection: upgrade\r\nupgrade: websocket\r\n" in asked
    assert b"early" not in asked
    answer = memory.answer(SWITCHED + b"early from container")
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"upgrade: websocket\r\n" in answer.lower()
    assert answer.endswith(b"\r\n\r\nearly from container")
    assert memory.container.line.taken() == b"early from visitor"
    memory.send(b"\x00GET / HTTP/1.1\r\n\r\n")
    assert memory.container.line.taken() == b"\x00GET / HTTP/1.1\r\n\r\n"
    assert memory.answer(b"\xff\xfe") == b"\xff\xfe"
    memory.container.line.protocol.pauseProducing()
    assert memory.line.producerState == "paused"
    memory.container.line.protocol.resumeProducing()
    assert memory.line.producerState == "producing"
    memory.container.line.protocol.readConnectionLost()
    assert memory.line.disconnecting
    assert not memory.line.aborted
    assert memory.container.line.disconnecting


def test_a_pipe_ends_for_the_container_when_the_visitor_leaves() -> None:
    memory = Memory()
    memory.send(UPGRADE)
    memory.answer(SWITCHED)
    memory.protocol.connectionLost(Failure(ConnectionDone()))
    assert memory.container.line.disconnecting
    memory.advance(120, step=10)
    assert memory.door.rechecks == 0


def test_a_refused_upgrade_is_an_ordinary_answer() -> None:
    memory = Memory()
    memory.send(UPGRADE)
    answer = memory.answer(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 426 ")
    memory.send(request(target="/after"))
    assert b"GET /after" in memory.container.line.value()


def test_a_door_that_takes_long_is_left_when_the_visitor_leaves() -> None:
    memory = Memory(limits=Limits())
    left: list[object] = []

    class SlowEndpoint:
        def connect(self, factory: object) -> Deferred[object]:
            return Deferred(left.append)

    memory.door.way = SlowEndpoint()  # type: ignore[assignment]
    memory.send(request())
    memory.protocol.connectionLost(Failure(ConnectionDone()))
    assert len(left) == 1
    assert memory.line.value() == b""
