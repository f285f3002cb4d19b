"""The console's door: who answers which path, and what is refused before anyone does."""

from __future__ import annotations

import json

import pytest
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from edgetainer.api.console import Console
from tests.api.asking import ask, exchange


class Named(Resource):
    """Tells its name and the path that it was left to read."""

    isLeaf = True

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def render_GET(self, request: IRequest) -> bytes:
        return f"{self._name} {b'/'.join(request.postpath).decode()}".encode()


def console(*, strict_transport: bool = False) -> Console:
    return Console(
        api=Named("api"),
        sockets={"ws": Named("live"), "ws/term": Named("terminal")},
        pages=Named("pages"),
        host="localhost:8443",
        strict_transport=strict_transport,
    )


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/api/devices/1", "api api/devices/1"),
        ("/ws", "live ws"),
        ("/ws/term", "terminal ws/term"),
        ("/ws/other", "pages ws/other"),
        ("/", "pages "),
        ("/apis", "pages apis"),
    ],
)
def test_who_answers(path: str, answer: str) -> None:
    assert ask(console(), path).body.decode() == answer


def test_every_answer_carries_the_security_headers() -> None:
    for path in ("/", "/api/x"):
        headers = ask(console(), path).headers
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "strict-transport-security" not in headers
    strict = ask(console(strict_transport=True), "/").headers
    assert strict["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost", "localhost:8444", "a@localhost:8443"]
)
def test_another_host_is_refused(host: str) -> None:
    answer = ask(console(), "/api/devices", host=host)
    assert answer.status == 421
    assert json.loads(answer.body)["code"] == "misdirected"


def test_the_host_is_compared_without_case() -> None:
    assert ask(console(), "/", host="LOCALHOST:8443").status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost:8443\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost:8443\r\n\r\n",
    ],
)
def test_an_ambiguous_host_is_refused(sent: bytes) -> None:
    received = exchange(console(), sent)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"invalid_request" in received
