"""How sessions begin: asked for, answered, refused, taken back."""

from __future__ import annotations

from typing import Any

import pytest

from edgetainer.quic.errors import ConnectionClosed, SessionRefused, StreamReset
from edgetainer.quic.opening import REFUSAL_BODY_LIMIT, SessionRequest, session_head
from tests.network import Network
from tests.quic.pair import Pair


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_headers_travel_both_ways(pair: Pair) -> None:
    assert (b"x-hello", b"yes") in pair.session.headers
    assert (b"a", b"b") in pair.server_session.headers
    assert pair.requests[0].path == "/tunnel"
    assert pair.server_session.connection is pair.server_connection


def test_a_refusal_says_why(pair: Pair) -> None:
    with pytest.raises(SessionRefused) as caught:
        pair.network.run(pair.client.open_session("/other"))
    assert (caught.value.status, caught.value.body) == (403, b"no")


def test_a_server_that_wants_no_sessions_refuses() -> None:
    network = Network()
    network.listen()
    client = network.run(network.connect())
    with pytest.raises(SessionRefused) as caught:
        network.run(client.open_session("/tunnel"))
    assert caught.value.status == 404


def test_a_request_may_be_answered_later_and_once(pair: Pair) -> None:
    opening = pair.client.open_session("/later")
    pair.network.until(lambda: len(pair.requests) == 2)
    pair.network.pass_time(3)
    assert not opening.called
    pair.requests[1].accept()
    pair.network.run(opening)
    with pytest.raises(RuntimeError):
        pair.requests[1].refuse(500)


def test_a_request_that_was_taken_back_cannot_be_accepted(pair: Pair) -> None:
    opening = pair.client.open_session("/later")
    pair.network.until(lambda: len(pair.requests) == 2)
    opening.addErrback(lambda _: None)
    opening.cancel()
    pair.network.pass_time(1)
    with pytest.raises(ConnectionError):
        pair.requests[1].accept()


def asked(pair: Pair) -> tuple[Any, SessionRequest]:
    """A session that is asked for and not answered yet."""
    opening = pair.client.open_session("/later")
    pair.network.until(lambda: len(pair.requests) == 2)
    return opening, pair.requests[1]


def test_a_long_refusal_is_kept_in_part(pair: Pair) -> None:
    opening, request = asked(pair)
    request.refuse(500, b"x" * (REFUSAL_BODY_LIMIT + 5000))
    with pytest.raises(SessionRefused) as caught:
        pair.network.run(opening)
    assert caught.value.body == b"x" * REFUSAL_BODY_LIMIT


def test_an_acceptance_that_ends_at_once_is_none(pair: Pair) -> None:
    opening, request = asked(pair)
    connection = pair.server_connection
    connection.framing.send_headers(request._session_id, [(b":status", b"200")], end_stream=True)
    connection.driver.transmit_soon()
    with pytest.raises(SessionRefused) as caught:
        pair.network.run(opening)
    assert caught.value.status == 200


def test_interim_answers_are_passed_over(pair: Pair) -> None:
    opening, request = asked(pair)
    pair.server_connection.send_headers(request._session_id, [(b":status", b"103")])
    pair.network.pass_time(1)
    assert not opening.called
    request.accept()
    pair.network.run(opening)


def test_a_request_that_the_server_drops_fails(pair: Pair) -> None:
    opening, request = asked(pair)
    pair.server_connection.drop_stream(request._session_id, 0x10C)
    with pytest.raises(StreamReset):
        pair.network.run(opening)
    assert pair.client._sessions.keys() == {0}, "only the first session is left"


def test_a_connection_that_ends_meanwhile_leaves_nothing_to_accept(pair: Pair) -> None:
    opening, request = asked(pair)
    pair.client.close(7, "off")
    with pytest.raises(ConnectionClosed):
        pair.network.run(opening)
    pair.network.until(lambda: pair.server_connection.driver.failure is not None)
    with pytest.raises(ConnectionClosed):
        request.accept()


def test_a_session_is_asked_for_in_the_form_of_draft_02() -> None:
    head = session_head(b"a.test", "/x?y", [(b"Cookie", b" 1 "), (b"Connection", b"close")])
    assert head[:5] == [
        (b":method", b"CONNECT"),
        (b":protocol", b"webtransport"),
        (b":scheme", b"https"),
        (b":authority", b"a.test"),
        (b":path", b"/x?y"),
    ]
    assert dict(head)[b"sec-webtransport-http3-draft02"] == b"1"
    assert head[-1] == (b"cookie", b"1")
