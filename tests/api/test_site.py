"""The gate, spoken to in bytes: only one well-formed Host of ours gets through."""

from __future__ import annotations

import json

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.resource import Resource
from twisted.web.static import Data

from edgetainer.api.app import make_console_site, make_tunnel_site
from edgetainer.api.route import Call, Routes
from edgetainer.api.schemas import Schema
from edgetainer.api.site import DISCARD_LIMIT, BoundedRequest, authority
from edgetainer.domain.access import DeviceIdentity


class Body(Schema):
    text: str


async def _nobody(token: str):
    raise AssertionError("not asked for")


def _routes():
    routes = Routes(authenticate=_nobody)

    @routes.get("/api/health", "health.read")
    async def health(call: Call):
        return {"status": "ok"}

    @routes.post("/api/echo", "health.read", body=Body)
    async def echo(call: Call):
        return {"size": len(call.body.text)}

    @routes.get("/api/agent/config", "agent.read")
    async def config(call: Call):
        return {"you": call.device.device_id}

    return routes


class _Wire(StringTransport):
    """A connection that remembers being aborted."""

    aborted = False

    def abortConnection(self):
        self.aborted = True
        self.loseConnection()


def _send(site, *parts: bytes, connection=None):
    channel = site.buildProtocol(None)
    wire = _Wire()
    channel.makeConnection(wire)
    if connection is not None:
        channel._channel.connection = connection
    for part in parts:
        if not wire.disconnecting:
            channel.dataReceived(part)
    return wire


def _answers(wire):
    """Status and body of each answer on the wire."""
    raw, answers = wire.value(), []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
        size = int(headers.get(b"content-length", b"0"))
        body, raw = raw[:size], raw[size:]
        kind = headers.get(b"content-type", b"")
        answers.append((int(lines[0].split()[1]), json.loads(body) if b"json" in kind else body))
    return answers


@pytest.fixture
def site():
    root = Resource()
    root.putChild(b"", Data(b"the page", "text/html"))
    root.putChild(b"app.js", Data(b"the script", "text/javascript"))
    return make_console_site(
        _routes(),
        reactor=Clock(),
        authorities=[authority("console.test", 8443), authority("console.test", 443)],
        children={b"ws": Data(b"the hub", "text/plain")},
        fallback=root,
    )


def _get(path=b"/api/health", host=b"Host: console.test:8443\r\n", version=b"1.1"):
    return b"GET " + path + b" HTTP/" + version + b"\r\n" + host + b"\r\n"


@pytest.mark.parametrize("host", [b"console.test:8443", b"CONSOLE.test:8443", b"console.test"])
def test_our_host_gets_through(site, host):
    wire = _send(site, _get(host=b"Host: " + host + b"\r\n"))
    assert _answers(wire) == [(200, {"status": "ok"})]


@pytest.mark.parametrize(
    ("host", "status", "code"),
    [
        (b"", 400, "invalid_request"),
        (b"Host: console.test\r\nHost: console.test\r\n", 400, "invalid_request"),
        (b"Host: evil.test\r\nHost: console.test\r\n", 400, "invalid_request"),
        (b"Host: evil.test\r\n", 421, "misdirected"),
        (b"Host: console.test:81\r\n", 421, "misdirected"),
        (b"Host: dev.apps.console.test\r\n", 421, "misdirected"),
        (b"Host: a@console.test\r\n", 400, "invalid_request"),
        (b"Host: a@b/x\r\n", 400, "invalid_request"),
        (b"Host: console.test.\r\n", 400, "invalid_request"),
        (b"Host: console.test:\r\n", 400, "invalid_request"),
        (b"Host: \r\n", 400, "invalid_request"),
        (b"Host: c\xffnsole.test\r\n", 400, "invalid_request"),
        (b"Host: console.test\r\n evil.test\r\n", 400, "invalid_request"),
    ],
)
def test_any_other_host_does_not(site, host, status, code):
    for path in (b"/api/health", b"/", b"/ws"):
        ((got, body),) = _answers(_send(site, _get(path=path, host=host)))
        assert (got, body["code"]) == (status, code)


def test_an_old_client_without_a_host_is_refused(site):
    ((status, body),) = _answers(_send(site, _get(host=b"", version=b"1.0")))
    assert (status, body["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "path", [b"https://console.test:8443/api/health", b"http://evil.test/api/health"]
)
def test_an_absolute_request_line_is_refused(site, path):
    ((status, body),) = _answers(_send(site, _get(path=path)))
    assert (status, body["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", [b"/api/%ff", b"/%ff"])
def test_a_path_that_is_not_utf8_is_refused(site, path):
    ((status, body),) = _answers(_send(site, _get(path=path)))
    assert (status, body["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("method", [b"get", b"G\xffT", b"A" * 17])
def test_an_odd_method_is_refused(site, method):
    wire = _send(site, _get().replace(b"GET", method, 1))
    assert _answers(wire)[0][0] == 400


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/", b"the page"),
        (b"/app.js", b"the script"),
        (b"/ws", b"the hub"),
    ],
)
def test_everything_else_is_served_too(site, path, expected):
    assert _answers(_send(site, _get(path=path))) == [(200, expected)]


@pytest.mark.parametrize("path", [b"/api", b"/api/", b"/api/nope", b"/api//health"])
def test_below_api_there_are_only_problem_documents(site, path):
    ((status, body),) = _answers(_send(site, _get(path=path)))
    assert (status, body["code"]) == (404, "not_found")


def test_one_answer_after_the_other(site):
    wire = _send(site, _get() + _get(path=b"/app.js") + _get())
    assert [status for status, _ in _answers(wire)] == [200, 200, 200]


def _post(length: bytes, kind=b"application/json"):
    return (
        b"POST /api/echo HTTP/1.1\r\nHost: console.test\r\nContent-Type: "
        + kind
        + b"\r\n"
        + length
        + b"\r\n\r\n"
    )


def test_a_body_of_known_length(site):
    body = json.dumps({"text": "x" * 1000}).encode()
    wire = _send(site, _post(b"Content-Length: %d" % len(body)), body)
    assert _answers(wire) == [(200, {"size": 1000})]


def test_a_promise_of_too_much_is_told_so_and_nothing_is_kept(site):
    size = BoundedRequest.limit + 1
    wire = _send(site, _post(b"Content-Length: %d" % size), *[b"x" * 4096] * (size // 4096 + 1))
    status, body = _answers(wire)[0]
    assert (status, body["code"]) == (413, "body_too_large")


def test_chunks_that_add_up_to_too_much(site):
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    count = BoundedRequest.limit // 4096 + 1
    wire = _send(site, _post(b"Transfer-Encoding: chunked"), *[chunk] * count, b"0\r\n\r\n")
    ((status, body),) = _answers(wire)
    assert (status, body["code"]) == (413, "body_too_large")


def test_who_does_not_stop_is_cut_off(site):
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    count = DISCARD_LIMIT // 65536 + 1
    wire = _send(site, _post(b"Transfer-Encoding: chunked"), *[chunk] * count)
    assert wire.aborted


def test_forms_are_not_even_parsed(site):
    wire = _send(
        site,
        _post(b"Content-Length: 5", kind=b"multipart/form-data; boundary=x"),
        b"--x--",
    )
    ((status, body),) = _answers(wire)
    assert (status, body["code"]) == (415, "unsupported_media_type")


class _Connection:
    def __init__(self, identity):
        self.identity = identity


def test_the_tunnel_serves_devices_only():
    site = make_tunnel_site(_routes(), reactor=Clock())
    device = _Connection(DeviceIdentity("d-1", "ff"))
    path = b"/api/agent/config"
    wire = _send(site, _get(path=path, host=b"Host: tunnel.edgetainer\r\n"), connection=device)
    assert _answers(wire) == [(200, {"you": "d-1"})]
    # What is for browsers and caches costs bytes on a link that may be metered.
    names = {line.partition(b":")[0].lower() for line in wire.value().split(b"\r\n")[1:-2]}
    assert names == {b"cache-control", b"content-type", b"content-length"}
    for identity in (None, object()):
        wire = _send(site, _get(path=path), connection=_Connection(identity))
        ((status, body),) = _answers(wire)
        assert (status, body["code"]) == (401, "unauthenticated")
    for path in (b"/api/health", b"/", b"/ws", b"/api/agentx"):
        ((status, body),) = _answers(_send(site, _get(path=path), connection=device))
        assert (status, body["code"]) == (404, "not_found")
