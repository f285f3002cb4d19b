"""A twisted.web Site, and Klein on it, over HTTP/3."""

from __future__ import annotations

from typing import Any

import pytest
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from edgetainer.quic.errors import ResponseTooLarge, StreamReset
from edgetainer.quic.exchange import Header
from edgetainer.quic.requests import ClientExchange
from tests.quic.pair import Pair, pattern

MIB = 1024 * 1024


class Everything:
    """A small Klein application that does what ours does."""

    app = Klein()

    def __init__(self) -> None:
        self.lost: list[Any] = []
        self.waiting: list[Any] = []
        self.seen: list[Any] = []

    @app.route("/who", methods=["GET"])
    def who(self, request: Any) -> bytes:
        assert request.isSecure()
        self.seen.append(request)
        request.setHeader(b"content-type", b"text/plain")
        return str(request.channel.connection.identity).encode()

    @app.route("/etag", methods=["GET", "HEAD"])
    def etag(self, request: Any) -> bytes:
        request.setETag(b'"7"')
        return b"" if request.code == 304 else b"fresh"

    @app.route("/cached", methods=["GET", "HEAD"])
    def cached(self, request: Any) -> bytes:
        return b"" if request.setETag(b'"7"') else b"fresh"

    @app.route("/echo", methods=["POST"])
    def echo(self, request: Any) -> bytes:
        self.seen.append(request.requestHeaders)
        return bytes(request.content.read())

    @app.route("/large")
    def large(self, request: Any) -> bytes:
        return pattern(3 * MIB)

    @app.route("/later")
    def later(self, request: Any) -> Deferred[bytes]:
        request.notifyFinish().addErrback(self.lost.append)
        self.waiting.append(Deferred())
        return self.waiting[-1]

    @app.route("/dropped")
    def dropped(self, request: Any) -> Deferred[bytes]:
        request.notifyFinish().addErrback(self.lost.append)
        request.loseConnection()
        return Deferred()

    @app.route("/streamed")
    def streamed(self, request: Any) -> Any:
        Streamed(request, 2 * MIB)
        done: Deferred[None] = Deferred()
        request.notifyFinish().addBoth(lambda _: None)
        return done

    @app.route("/pulled")
    def pulled(self, request: Any) -> Any:
        Pulled(request, 2 * MIB)
        return Deferred()

    @app.route("/endless")
    def endless(self, request: Any) -> Any:
        self.endless_request = request
        request.notifyFinish().addErrback(self.lost.append)
        self.source = Streamed(request, 1 << 40)
        return Deferred()


class Streamed:
    """A push producer of a response's body."""

    def __init__(self, request: Any, total: int) -> None:
        self.request, self.left = request, total
        self.paused = self.stopped = False
        self.most_paused = 0
        request.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self.paused = False
        while self.left and not self.paused and not self.stopped:
            size = min(self.left, 65536)
            self.left -= size
            self.request.write(pattern(65536)[:size])
        if not self.left and not self.stopped:
            self.stopped = True
            self.request.unregisterProducer()
            self.request.finish()

    def pauseProducing(self) -> None:
        self.paused = True
        self.most_paused += 1

    def stopProducing(self) -> None:
        self.stopped = True


class Pulled(Streamed):
    """A pull producer: one piece for each call."""

    def __init__(self, request: Any, total: int) -> None:
        self.request, self.left, self.stopped = request, total, False
        request.registerProducer(self, False)

    def resumeProducing(self) -> None:
        size = min(self.left, 65536)
        self.left -= size
        self.request.write(pattern(65536)[:size])
        if not self.left:
            self.request.unregisterProducer()
            self.request.finish()


class Site:
    def __init__(self, **server: Any) -> None:
        self.app = Everything()
        self.pair = Pair(site=self.app.app.resource(), server=server)

    def ask(self, method: str, path: str, **kwargs: Any) -> Any:
        return self.pair.network.run(self.pair.client.request(method, path, **kwargs))


@pytest.fixture
def site() -> Site:
    return Site()


def test_klein_answers_and_knows_who_asks(site: Site) -> None:
    response = site.ask("GET", "/who")
    assert (response.status, response.body) == (200, b"CN=device")
    assert response.header(b"content-type") == b"text/plain"
    assert response.header(b"transfer-encoding") is None
    request = site.app.seen[0]
    assert request.getHeader("host") == "server.test"


def test_klein_answers_what_it_has_not(site: Site) -> None:
    assert site.ask("GET", "/nothing").status == 404
    assert site.ask("DELETE", "/who").status == 405


def test_nothing_changed_costs_no_body(site: Site) -> None:
    assert site.ask("GET", "/cached").body == b"fresh"
    response = site.ask("GET", "/cached", headers=[(b"if-none-match", b'"7"')])
    assert (response.status, response.body) == (304, b"")
    assert response.header(b"etag") == b'"7"'


def test_head_has_no_body(site: Site) -> None:
    response = site.ask("HEAD", "/cached")
    assert (response.status, response.body) == (200, b"")


def test_bodies_arrive_whole(site: Site) -> None:
    body = pattern(2 * MIB)
    response = site.ask("POST", "/echo", body=body, limit=4 * MIB)
    assert response.body == body
    assert site.app.seen[0].getRawHeaders(b"content-length") == [b"%d" % len(body)]


def test_cookies_may_come_in_crumbs(site: Site) -> None:
    site.ask("POST", "/echo", headers=[(b"Cookie", b"a=1"), (b"Cookie", b"b=2")])
    assert site.app.seen[0].getRawHeaders(b"cookie") == [b"a=1; b=2"]


@pytest.mark.parametrize("path", ["/large", "/streamed", "/pulled"])
def test_large_responses(site: Site, path: str) -> None:
    response = site.ask("GET", path, limit=4 * MIB)
    expected = pattern(3 * MIB) if path == "/large" else pattern(65536) * 32
    assert response.body == expected


def test_a_response_larger_than_the_caller_allows_is_given_up(site: Site) -> None:
    with pytest.raises(ResponseTooLarge):
        site.ask("GET", "/streamed", limit=100_000)
    site.pair.network.pass_time(2)
    assert site.ask("GET", "/who").status == 200


def test_a_response_that_never_ends_is_produced_only_as_fast_as_it_is_read(site: Site) -> None:
    waiting = site.pair.client.request("GET", "/endless", limit=2 * MIB)
    waiting.addErrback(lambda reason: reason.trap(ResponseTooLarge))
    site.pair.network.until(lambda: waiting.called, timeout=300)
    site.pair.network.pass_time(1)
    assert site.app.source.most_paused > 0
    assert site.app.source.stopped
    assert len(site.app.lost) == 1


def test_a_handler_may_drop_its_request_alone(site: Site) -> None:
    with pytest.raises(StreamReset):
        site.ask("GET", "/dropped")
    assert len(site.app.lost) == 1
    assert site.ask("GET", "/who").status == 200


def test_a_form_that_cannot_be_read_is_a_bad_request(site: Site) -> None:
    headers = [(b"content-type", b"multipart/form-data; boundary=no")]
    response = site.ask("POST", "/echo", headers=headers, body=b"not a form")
    assert response.status == 400
    assert site.app.seen == []
    assert site.ask("GET", "/who").status == 200


def test_a_cancelled_request_ends_its_handler(site: Site) -> None:
    waiting = site.pair.client.request("GET", "/later")
    waiting.addErrback(lambda _: None)
    site.pair.network.until(lambda: bool(site.app.waiting))
    waiting.cancel()
    site.pair.network.until(lambda: bool(site.app.lost))
    assert site.app.lost[0].check(StreamReset)
    site.app.waiting[0].callback(b"too late")
    assert site.ask("GET", "/who").status == 200


def test_the_end_of_the_connection_ends_its_handlers(site: Site) -> None:
    waiting = site.pair.client.request("GET", "/later")
    waiting.addErrback(lambda _: None)
    site.pair.network.until(lambda: bool(site.app.waiting))
    site.pair.client.close()
    site.pair.network.until(lambda: bool(site.app.lost))
    site.app.waiting[0].callback(b"too late")


def test_bodies_are_bounded_with_and_without_a_length() -> None:
    site = Site(max_body=100_000)
    assert site.ask("POST", "/echo", body=bytes(100_000)).status == 200
    assert site.ask("POST", "/echo", body=bytes(100_001)).status == 413
    connection = site.pair.client
    # Without a length: the head alone ends nothing, the body follows in pieces.
    framing = connection.framing
    stream_id = connection.driver.quic.get_next_available_stream_id()
    exchange = ClientExchange(connection, stream_id, limit=1000)
    connection.replace_exchange(stream_id, exchange)
    framing.send_headers(stream_id, head("POST", "/echo"))
    for _ in range(20):
        framing.send_data(stream_id, bytes(10_000), end_stream=False)
    connection.driver.transmit_soon()
    assert site.pair.network.run(exchange.done).status == 413


def head(method: str, path: str, authority: str = "server.test") -> list[Header]:
    return [
        (b":method", method.encode()),
        (b":scheme", b"https"),
        (b":authority", authority.encode()),
        (b":path", path.encode()),
    ]


@pytest.mark.parametrize(
    "headers",
    [
        head("GET", "who"),
        head("GET", "/a b"),
        head("GET", "http://other.test/who"),
        head("G T", "/who"),
        head("GET", "/who", "user@server.test"),
        [*head("GET", "/who"), (b"host", b"other.test")],
    ],
)
def test_ambiguous_requests_are_refused(site: Site, headers: list[Header]) -> None:
    connection = site.pair.client
    stream_id = connection.driver.quic.get_next_available_stream_id()
    exchange = ClientExchange(connection, stream_id, limit=1000)
    connection.replace_exchange(stream_id, exchange)
    connection.framing.send_headers(stream_id, headers, end_stream=True)
    connection.driver.transmit_soon()
    assert site.pair.network.run(exchange.done).status == 400
    assert site.app.seen == []


def test_requests_at_once_are_bounded(site: Site) -> None:
    answers: list[Any] = []
    for _ in range(70):
        site.pair.client.request("GET", "/later").addCallback(answers.append)
    site.pair.network.until(lambda: len(site.app.waiting) == 64 and len(answers) == 6)
    assert {answer.status for answer in answers} == {503}
    for each in site.app.waiting:
        each.callback(b"done")
    site.pair.network.until(lambda: len(answers) == 70)
    assert site.ask("GET", "/who").status == 200


def test_a_resource_that_renders_later(site: Site) -> None:
    class Later(Resource):
        isLeaf = True

        def render_GET(self, request: Any) -> int:
            pair.network.clock.callLater(5, lambda: (request.write(b"at last"), request.finish()))
            return NOT_DONE_YET

    pair = Pair(site=Later())
    assert pair.network.run(pair.client.request("GET", "/")).body == b"at last"


def test_a_request_whose_end_goes_wrong_does_not_hide_it_from_the_others(
    site: Site, logged_failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    over = site.pair.server_connection.notify_close()
    for _ in range(3):
        site.pair.client.request("GET", "/later").addErrback(lambda _: None)
    site.pair.network.until(lambda: len(site.app.waiting) == 3)
    requests = [each._request for each in site.pair.server_connection._exchanges.values()
                if hasattr(each, "_request")]  # fmt: skip

    def broken(reason: Any) -> None:
        raise RuntimeError("a mistake in a handler")

    monkeypatch.setattr(requests[0], "connectionLost", broken)
    site.pair.client.close()
    assert site.pair.network.run(over) is None
    assert len(site.app.lost) == 2
    assert "a mistake in a handler" in logged_failures.pop()
