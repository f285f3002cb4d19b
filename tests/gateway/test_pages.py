"""What visitors are told: pages for people, problem documents for programs."""

from __future__ import annotations

import json

import pytest

from edgetainer.errors import CODES, EdgetainerError
from edgetainer.gateway.head import parse_head
from edgetainer.gateway.pages import error_reply, wants_json
from tests.gateway.support import HOST, request

SECRET = "connect to 172.17.0.2:80 on node-7 <script>"


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_a_page_and_a_problem_without_anything_internal(code: str) -> None:
    own = code in ("headers_too_large", "invalid_request", "method_not_allowed", "misdirected")
    detail = "What to do." if own or code == "request_timeout" else SECRET
    error = EdgetainerError(code, detail)
    page = error_reply(error, parse_head(request(), server_name=HOST))
    assert page.status == CODES[code].status
    assert (b"content-type", b"text/html; charset=utf-8") in page.headers
    assert b'<html lang="en">' in page.body
    assert b"<title>" in page.body
    assert code.encode() in page.body
    json_head = parse_head(request("Accept: application/problem+json"), server_name=HOST)
    problem = error_reply(error, json_head)
    assert (b"content-type", b"application/problem+json") in problem.headers
    document = json.loads(problem.body)
    assert (document["code"], document["status"]) == (code, page.status)
    for reply in (page, problem):
        assert b"172.17" not in reply.body
        assert (b"content-length", b"%d" % len(reply.body)) in reply.headers
        assert (b"cache-control", b"no-store") in reply.headers


def test_a_page_escapes_what_it_is_told() -> None:
    page = error_reply(EdgetainerError("invalid_request", "<script>"), None)
    assert b"<script>" not in page.body
    assert b"&lt;script&gt;" in page.body


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        (b"", False),
        (b"*/*", False),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        (b"application/json", True),
        (b"APPLICATION/JSON; charset=utf-8", True),
        (b"application/vnd.api+json", True),
        (b"text/html, application/json", False),
        (b"text/html;q=0.5, application/json", True),
        (b"application/json;q=0", False),
        (b"application/json;q=x", False),
    ],
)
def test_json_is_for_who_prefers_it(accept: bytes, json_wanted: bool) -> None:
    assert wants_json([accept]) is json_wanted
