"""What a container hears of a visitor, and a visitor of a container."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest

from edgetainer.gateway.head import parse_head
from edgetainer.gateway.headers import (
    contained_cookie,
    is_our_token,
    our_cookies,
    to_container,
    to_visitor,
    without_our_cookies,
)
from edgetainer.services.access_tokens import AccessTokens, Claims
from tests.gateway.support import HOST, request


def passed(*lines: str, visitor: str = "192.0.2.7", **kwargs: str) -> list[tuple[bytes, bytes]]:
    return to_container(parse_head(request(*lines, **kwargs), server_name=HOST), visitor=visitor)


def values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def test_the_container_learns_who_asked() -> None:
    headers = passed()
    assert values(headers, b"host") == [HOST.encode()]
    assert values(headers, b"x-forwarded-for") == [b"192.0.2.7"]
    assert values(headers, b"x-forwarded-proto") == [b"https"]
    assert values(headers, b"x-forwarded-host") == [HOST.encode()]
    assert values(headers, b"forwarded") == [f'for=192.0.2.7;host="{HOST}";proto=https'.encode()]
    assert values(passed(visitor="2001:db8::1"), b"forwarded")[0].startswith(
        b'for="[2001:db8::1]";'
    )


@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-For: 10.0.0.1",
        "x-forwarded-HOST: evil",
        "X_Forwarded_For: 10.0.0.1",
        "X-Forwarded_Proto: http",
        "X-Forwarded-Anything: 1",
        "Forwarded: for=10.0.0.1",
        "X-Real-IP: 10.0.0.1",
        "X-Edgetainer-User: admin",
    ],
)
def test_the_visitor_cannot_say_it_instead(line: str) -> None:
    assert passed(line) == passed()


def test_naming_our_headers_in_connection_does_not_remove_them() -> None:
    plain = passed()
    named = passed("Connection: close, X-Forwarded-For, Forwarded, Host, X-Forwarded-Proto")
    assert named == plain


def test_what_is_about_one_connection_stays_there() -> None:
    headers = passed(
        "Connection: keep-alive, X-Hop",
        "X-Hop: 1",
        "Keep-Alive: 5",
        "Proxy-Authorization: Basic x",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Trailer: X",
        "Upgrade: h2c",
        "HTTP2-Settings: x",
        "X-Stays: 1",
    )
    assert set(headers) - set(passed()) == {(b"x-stays", b"1")}


def test_framing_is_ours() -> None:
    assert values(passed("Content-Length: 0", method="POST"), b"content-length") == [b"0"]
    assert values(passed("Content-Length: 007", method="POST"), b"content-length") == [b"7"]
    chunked = passed("Transfer-Encoding: Chunked", method="POST")
    assert values(chunked, b"transfer-encoding") == [b"chunked"]
    assert values(chunked, b"content-length") == []
    assert values(passed(), b"content-length") == []
    assert values(passed(), b"connection") == [b"close"]
    named = passed("Content-Length: 3", "Connection: content-length", method="POST")
    assert values(named, b"content-length") == [b"3"]


def test_our_cookies_are_kept_from_containers() -> None:
    assert without_our_cookies(b"a=1; __Host-edgetainer-visit=x; b=2") == b"a=1; b=2"
    assert without_our_cookies(b"__HOST-Edgetainer-refresh=x") == b""
    assert without_our_cookies(b"a=1;=__Host-edgetainer-visit=x;;") == b"a=1"
    assert values(passed("Cookie: __Host-edgetainer-visit=x"), b"cookie") == []
    two = passed("Cookie: a=1", "Cookie: __Host-edgetainer-visit=x; b=2")
    assert values(two, b"cookie") == [b"a=1", b"b=2"]


def test_our_cookies_are_found_by_name() -> None:
    lines = ("Cookie: a=1; __Host-edgetainer-visit=x=y", "Cookie: __Host-edgetainer-visit=z")
    head = parse_head(request(*lines), server_name=HOST)
    assert our_cookies(head, b"__Host-edgetainer-visit") == [b"x=y", b"z"]
    assert our_cookies(head, b"__Host-edgetainer-vis") == []
    many = parse_head(request("Cookie: " + "__Host-edgetainer-visit=x;" * 99), server_name=HOST)
    assert len(our_cookies(many, b"__Host-edgetainer-visit")) == 4


def jwt(claims: object) -> bytes:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return b"Bearer eyJhbGciOiJIUzI1NiJ9." + body + b".c2ln"


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        (jwt({"aud": "edgetainer"}), True),
        (jwt({"aud": ["x", "edgetainer"]}), True),
        (jwt({"aud": "edgetainer"}).replace(b"Bearer", b"bearer  "), True),
        (jwt({"aud": "their-app"}), False),
        (jwt({"sub": "x"}), False),
        (jwt([1]), False),
        (b"Bearer abc", False),
        (b"Bearer a.b.c", False),
        (b"Bearer a.\xff.c", False),
        (b"Basic dXNlcjpwYXNz", False),
        (b"", False),
    ],
)
def test_our_tokens_are_kept_from_containers(value: bytes, ours: bool) -> None:
    assert is_our_token(value) is ours


def test_the_tokens_of_the_console_are_known_as_ours() -> None:
    tokens = AccessTokens(key=b"k" * 32, now=lambda: datetime.now(UTC))
    assert is_our_token(b"Bearer " + tokens.issue(Claims("u", "s")).encode("ascii"))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"a=b", b"a=b"),
        (b"a=b; Path=/; Domain=apps.example.com; Secure", b"a=b; Path=/; Secure"),
        (b"a=b;DOMAIN=.example.com", b"a=b"),
        (b"a=b; domain", b"a=b"),
        (b"a=domain=x; Max-Age=1", b"a=domain=x; Max-Age=1"),
        (b"__Host-edgetainer-visit=x; Path=/; Secure", None),
        (b" __host-EDGETAINER-state=x", None),
        (b"=__Host-edgetainer-visit=x", None),
    ],
)
def test_a_devices_cookie_is_kept_to_its_host(given: bytes, kept: bytes | None) -> None:
    assert contained_cookie(given) == kept


def test_the_answers_headers_pass_without_what_reaches_further() -> None:
    received = [
        (b"content-type", b"text/html"),
        (b"connection", b"X-Hop"),
        (b"x-hop", b"1"),
        (b"keep-alive", b"5"),
        (b"alt-svc", b'h3=":443"'),
        (b"content-length", b"3"),
        (b"set-cookie", b"a=b; Domain=x"),
        (b"set-cookie", b"__Host-edgetainer-visit=x"),
    ]
    assert to_visitor(received, status=200) == [
        (b"content-type", b"text/html"),
        (b"content-length", b"3"),
        (b"set-cookie", b"a=b"),
    ]
    both = [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")]
    assert to_visitor(both, status=200) == []
    assert to_visitor([(b"content-length", b"0")], status=204) == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b'"cookies"', None),
        (b'"cache", "cookies","storage"', b'"cache", "storage"'),
        (b'"*"', b'"cache", "storage", "executionContexts"'),
        (b'"Cookies", cookies, "clientHints"', None),
        (b"", None),
    ],
)
def test_a_device_clears_no_cookies_of_its_neighbours(given: bytes, kept: bytes | None) -> None:
    passed = dict(to_visitor([(b"clear-site-data", given)], status=200))
    assert passed.get(b"clear-site-data") == kept


def test_only_the_gateway_speaks_as_the_gateway() -> None:
    assert to_visitor([(b"x-edgetainer-error", b"device_offline")], status=200) == []
