"""Every head that two readers could understand differently is refused, and says why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetainer.errors import EdgetainerError
from edgetainer.gateway.head import RequestHead, parse_authority, parse_head
from tests.gateway.support import HOST

GOOD = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n"


def parse(text: str | bytes) -> RequestHead:
    block = text.encode("latin-1") if isinstance(text, str) else text
    return parse_head(block + b"\r\n", server_name=HOST)


# Name -> (head without its last empty line, code). The first eight are what
# twisted.web was seen to accept.
MALFORMED: dict[str, tuple[str, str]] = {
    "two Hosts": (f"{GOOD}Host: {HOST}\r\n", "invalid_request"),
    "two Hosts, other": (f"{GOOD}Host: other.apps.example.com\r\n", "invalid_request"),
    "no Host": ("GET / HTTP/1.1\r\nAccept: */*\r\n", "invalid_request"),
    "absolute URI is not Host": (
        f"GET https://other.apps.example.com/ HTTP/1.1\r\nHost: {HOST}\r\n",
        "invalid_request",
    ),
    "user in Host": (f"GET / HTTP/1.1\r\nHost: a@{HOST}\r\n", "invalid_request"),
    "path in Host": (f"GET / HTTP/1.1\r\nHost: {HOST}/x\r\n", "invalid_request"),
    "obs-fold": (f"{GOOD}X-A: 1\r\n 2\r\n", "invalid_request"),
    "obs-fold with tab": (f"{GOOD}X-A: 1\r\n\t2\r\n", "invalid_request"),
    "HTTP/1.0 and TE": (
        f"POST / HTTP/1.0\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n",
        "invalid_request",
    ),
    "TE identity and CL": (
        f"{GOOD}Transfer-Encoding: identity\r\nContent-Length: 3\r\n",
        "invalid_request",
    ),
    "CL and TE": (
        f"{GOOD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "invalid_request",
    ),
    "TE and CL": (
        f"{GOOD}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "invalid_request",
    ),
    "TE twice": (
        f"{GOOD}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "invalid_request",
    ),
    "TE list": (f"{GOOD}Transfer-Encoding: gzip, chunked\r\n", "invalid_request"),
    "TE chunked twice": (f"{GOOD}Transfer-Encoding: chunked, chunked\r\n", "invalid_request"),
    "TE unknown": (f"{GOOD}Transfer-Encoding: xchunked\r\n", "invalid_request"),
    "TE with vertical tab": (f"{GOOD}Transfer-Encoding: \x0bchunked\r\n", "invalid_request"),
    "TE quoted": (f'{GOOD}Transfer-Encoding: "chunked"\r\n', "invalid_request"),
    "TE empty": (f"{GOOD}Transfer-Encoding:\r\n", "invalid_request"),
    "space before colon": (f"{GOOD}Transfer-Encoding : chunked\r\n", "invalid_request"),
    "CL twice, different": (
        f"{GOOD}Content-Length: 3\r\nContent-Length: 4\r\n",
        "invalid_request",
    ),
    "CL twice, same": (f"{GOOD}Content-Length: 3\r\nContent-Length: 3\r\n", "invalid_request"),
    "CL list": (f"{GOOD}Content-Length: 3, 3\r\n", "invalid_request"),
    "CL signed": (f"{GOOD}Content-Length: +3\r\n", "invalid_request"),
    "CL negative": (f"{GOOD}Content-Length: -3\r\n", "invalid_request"),
    "CL hexadecimal": (f"{GOOD}Content-Length: 0x3\r\n", "invalid_request"),
    "CL underscore": (f"{GOOD}Content-Length: 1_0\r\n", "invalid_request"),
    "CL empty": (f"{GOOD}Content-Length:\r\n", "invalid_request"),
    "CL spaced": (f"{GOOD}Content-Length: 3 3\r\n", "invalid_request"),
    "CL Latin digit": (f"{GOOD}Content-Length: \xb2\r\n", "invalid_request"),
    "CL huge": (f"{GOOD}Content-Length: {'9' * 19}\r\n", "invalid_request"),
    "bare LF": (f"GET / HTTP/1.1\r\nHost: {HOST}\nX-A: 1\r\n", "invalid_request"),
    "bare CR": (f"{GOOD}X-A: 1\rX-B: 2\r\n", "invalid_request"),
    "NUL": (f"{GOOD}X-A: 1\x002\r\n", "invalid_request"),
    "DEL": (f"{GOOD}X-A: 1\x7f\r\n", "invalid_request"),
    "no colon": (f"{GOOD}X-A\r\n", "invalid_request"),
    "no name": (f"{GOOD}: 1\r\n", "invalid_request"),
    "name with space": (f"{GOOD}X A: 1\r\n", "invalid_request"),
    "name not ASCII": (f"{GOOD}X-\xe4: 1\r\n", "invalid_request"),
    "space before first header": (f"GET / HTTP/1.1\r\n Host: {HOST}\r\n", "invalid_request"),
    "HTTP/0.9": ("GET /\r\n", "invalid_request"),
    "HTTP/1.2": (f"GET / HTTP/1.2\r\nHost: {HOST}\r\n", "invalid_request"),
    "HTTP/2.0": (f"GET / HTTP/2.0\r\nHost: {HOST}\r\n", "invalid_request"),
    "lower-case version": (f"GET / http/1.1\r\nHost: {HOST}\r\n", "invalid_request"),
    "two spaces": (f"GET  / HTTP/1.1\r\nHost: {HOST}\r\n", "invalid_request"),
    "tab": (f"GET\t/ HTTP/1.1\r\nHost: {HOST}\r\n", "invalid_request"),
    "space in target": (f"GET /a b HTTP/1.1\r\nHost: {HOST}\r\n", "invalid_request"),
    "space at the end": (f"GET / HTTP/1.1 \r\nHost: {HOST}\r\n", "invalid_request"),
    "fragment": (f"GET /#a HTTP/1.1\r\nHost: {HOST}\r\n", "invalid_request"),
    "relative target": (f"GET a HTTP/1.1\r\nHost: {HOST}\r\n", "invalid_request"),
    "asterisk": (f"OPTIONS * HTTP/1.1\r\nHost: {HOST}\r\n", "invalid_request"),
    "other scheme": (f"GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n", "invalid_request"),
    "user in absolute URI": (
        f"GET https://a@{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n",
        "invalid_request",
    ),
    "method not a token": (f"G@T / HTTP/1.1\r\nHost: {HOST}\r\n", "invalid_request"),
    "CONNECT": (f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}\r\n", "method_not_allowed"),
    "TRACE": (f"TRACE / HTTP/1.1\r\nHost: {HOST}\r\n", "method_not_allowed"),
    "Host list": (f"GET / HTTP/1.1\r\nHost: {HOST}, {HOST}\r\n", "invalid_request"),
    "Host empty": ("GET / HTTP/1.1\r\nHost:\r\n", "invalid_request"),
    "Host with dot at the end": (f"GET / HTTP/1.1\r\nHost: {HOST}.\r\n", "invalid_request"),
    "Host address": ("GET / HTTP/1.1\r\nHost: [::1]\r\n", "misdirected"),
    "Host port not a number": (f"GET / HTTP/1.1\r\nHost: {HOST}:8x\r\n", "invalid_request"),
    "Host port empty": (f"GET / HTTP/1.1\r\nHost: {HOST}:\r\n", "invalid_request"),
    "Host port too high": (f"GET / HTTP/1.1\r\nHost: {HOST}:65536\r\n", "invalid_request"),
    "Host underscore": ("GET / HTTP/1.1\r\nHost: a_b.apps.example.com\r\n", "invalid_request"),
    "Host is not the SNI": (
        "GET / HTTP/1.1\r\nHost: other.apps.example.com\r\n",
        "misdirected",
    ),
    "Connection not tokens": (f"{GOOD}Connection: a b\r\n", "invalid_request"),
    "unknown expectation": (f"{GOOD}Expect: 200-ok\r\n", "invalid_request"),
    "too long": (f"{GOOD}X-A: {'a' * 16384}\r\n", "headers_too_large"),
    "too many": (GOOD + "".join(f"X-{n}: 1\r\n" for n in range(101)), "headers_too_large"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_head_is_refused(name: str) -> None:
    text, code = MALFORMED[name]
    with pytest.raises(EdgetainerError) as caught:
        parse(text)
    assert caught.value.code == code


def test_a_good_head_says_what_is_asked() -> None:
    head = parse(
        f"POST /a?b=c HTTP/1.1\r\nHost: {HOST.upper()}:8443\r\nX-Name:  v w\t\r\n"
        "Content-Length: 3\r\nExpect: 100-Continue\r\n"
    )
    assert (head.method, head.target, head.path) == (b"POST", b"/a?b=c", b"/a")
    assert (head.authority.host, head.authority.port) == (HOST, 8443)
    assert head.values(b"x-name") == [b"v w"]
    assert (head.length, head.expects_continue, head.upgrade) == (3, True, None)


def test_absolute_form_is_reduced_to_what_it_means() -> None:
    assert parse(f"GET https://{HOST} HTTP/1.1\r\nHost: {HOST}\r\n").target == b"/"
    assert parse(f"GET https://{HOST}/a?b HTTP/1.1\r\nHost: {HOST}\r\n").target == b"/a?b"


def test_chunked_has_no_length() -> None:
    assert parse(f"{GOOD}Transfer-Encoding: Chunked\r\n").length is None


@pytest.mark.parametrize(
    ("offer", "taken"),
    [
        ("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n", b"websocket"),
        ("Connection: Upgrade\r\nUpgrade: custom/2\r\n", b"custom/2"),
        ("Upgrade: websocket\r\n", None),
        ("Connection: Upgrade\r\n", None),
        ("Connection: Upgrade\r\nUpgrade: h2c\r\n", None),
        ("Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n", None),
        ("Connection: Upgrade\r\nUpgrade: TLS/1.3\r\n", None),
        ("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n", None),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", None),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", None),
    ],
)
def test_only_a_single_harmless_protocol_is_upgraded_to(offer: str, taken: bytes | None) -> None:
    assert parse(GOOD + offer).upgrade == taken


def test_long_runs_of_spaces_cost_nothing_special() -> None:
    # A backtracking reader would need minutes for this one.
    assert parse(f"{GOOD}X-A:{' ' * 16000}b\r\n").values(b"x-a") == [b"b"]


@given(st.binary(max_size=200))
def test_whatever_arrives_is_read_or_refused(data: bytes) -> None:
    try:
        head = parse_head(data + b"\r\n\r\n", server_name=HOST)
    except EdgetainerError:
        return
    assert head.authority.host == HOST


@given(st.text(alphabet="ab-.:1_@/ ", max_size=30))
def test_an_authority_reads_back_as_itself(text: str) -> None:
    try:
        authority = parse_authority(text.encode())
    except EdgetainerError:
        return
    assert parse_authority(str(authority).encode()) == authority
    assert not set(authority.host) & set("_@/ ")
