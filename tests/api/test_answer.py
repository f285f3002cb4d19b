"""Answers as they lie on a request."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from twisted.python.failure import Failure
from twisted.web.test.requesthelper import DummyRequest

from edgetainer.api.answer import Reply, problem, write
from edgetainer.errors import EdgetainerError


def _header(request, name):
    return request.responseHeaders.getRawHeaders(name)


def _request():
    request = DummyRequest([b"x"])
    request.method, request.path = b"GET", b"/x"
    return request


def test_a_reply():
    request = _request()
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    body = write(request, Reply({"at": moment}, headers=[("x-a", "b")]), status=201)
    assert (request.responseCode, body) == (201, b'{"at":"2026-01-02T03:04:05Z"}')
    assert _header(request, "content-length") == [str(len(body))]
    assert _header(request, "x-a") == ["b"]


def test_a_reply_with_a_status_of_its_own():
    request = _request()
    assert write(request, Reply(status=204), status=200) == b""
    assert request.responseCode == 204
    assert _header(request, "content-type") is None


def test_a_problem():
    request = _request()
    error = EdgetainerError("invalid_field", "It is empty.", field="name")
    body = json.loads(problem(request, Failure(error)))
    assert body == error.problem()
    assert request.responseCode == 400
    assert _header(request, "content-type") == ["application/problem+json"]
    assert _header(request, "www-authenticate") is None


def test_who_is_not_signed_in_is_told_how():
    request = _request()
    problem(request, Failure(EdgetainerError("session_expired")))
    assert _header(request, "www-authenticate") == ["Bearer"]
