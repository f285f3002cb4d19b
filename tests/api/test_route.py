"""The decorator: authenticates, permits, validates, maps errors; hides everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher

from edgetainer.api.route import Call, Reply, Routes
from edgetainer.api.schemas import UNSET, Line, Schema, UnsetType, given
from edgetainer.api.site import Gate
from edgetainer.domain.access import Principal, Role
from edgetainer.errors import EdgetainerError
from tests.databases import result

VIEWER = Principal("u-1", "vera", Role.VIEWER, "s-1")


class Thing(Schema):
    name: Line
    count: int | UnsetType = UNSET
    extra: dict[str, Any] | None = None


class Page(Schema):
    limit: int = 10


async def _authenticate(token: str) -> Principal:
    if token != "good":
        raise EdgetainerError("session_expired")
    return VIEWER


@pytest.fixture
def routes():
    routes = Routes(authenticate=_authenticate)
    routes.waiting = Deferred()
    routes.done = []

    @routes.get("/api/things/<uuid:thing_id>", "devices.read")
    async def one(call: Call, thing_id: str):
        return {"id": thing_id, "who": call.user.username}

    @routes.get("/api/things", "devices.read", query=Page)
    async def many(call: Call):
        return {"limit": call.query.limit}

    @routes.post("/api/things", "devices.read", body=Thing, status=201, limit=2000)
    async def create(call: Call):
        return given(call.body)

    @routes.delete("/api/things/<uuid:thing_id>", "devices.read")
    async def delete(call: Call, thing_id: str):
        return None

    @routes.post("/api/forbidden", "fleets.write")
    async def forbidden(call: Call):
        raise AssertionError("must not get here")

    @routes.post("/api/broken", "devices.read")
    async def broken(call: Call):
        raise RuntimeError("the secret is Sesame")

    @routes.get("/api/tagged", "health.read")
    async def tagged(call: Call):
        return Reply({"a": 1}, etag="v1", headers=[("x-a", "b")], cookies=["c=1", "d=2"])

    @routes.get("/api/device", "agent.read")
    async def device(call: Call):
        raise AssertionError("must not get here")

    @routes.get("/api/users/<uuid:user_id>", "users.read", owner="user_id")
    async def user(call: Call, user_id: str):
        raise AssertionError("must not get here")

    @routes.get("/api/slow", "health.read")
    async def slow(call: Call):
        await routes.waiting
        routes.done.append(True)
        return {}

    return routes


@pytest.fixture
def ask(routes):
    treq = StubTreq(Gate(routes, authorities=["console.test"]))

    def ask(method, path, *, token="good", data=None, headers=None, **json_body):
        headers = dict(headers or {})
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {token}")
        if json_body:
            data = json.dumps(json_body).encode()
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        response = result(
            treq.request(method, f"https://console.test{path}", headers=headers, data=data)
        )
        body = result(response.content())
        kind = response.headers.getRawHeaders("content-type", [None])[0]
        return response, (json.loads(body) if kind and "json" in kind and body else body)

    return ask


UUID = "0b6c7a52-25b5-4f7c-9d7d-8b2f1c9f0001"


def test_a_good_request(ask):
    response, body = ask("GET", f"/api/things/{UUID.upper()}")
    assert (response.code, body) == (200, {"id": UUID, "who": "vera"})
    assert response.headers.getRawHeaders("cache-control") == ["no-store"]
    assert response.headers.getRawHeaders("x-content-type-options") == ["nosniff"]


def test_status_and_body(ask):
    response, body = ask("POST", "/api/things", name="a", count=2)
    assert (response.code, body) == (201, {"name": "a", "count": 2, "extra": None})
    response, body = ask("DELETE", f"/api/things/{UUID}")
    assert (response.code, body) == (204, b"")


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b'{"name":"\xff"}', "invalid_json", None),
        (b'{"name":"\\ud800"}', "invalid_json", None),
        (b"[]", "invalid_field", None),
        (b"{}", "invalid_field", "name"),
        (b'{"name":1}', "invalid_field", "name"),
        (b'{"name":""}', "invalid_field", "name"),
        (b'{"name":" a"}', "invalid_field", "name"),
        (b'{"name":"a\\n"}', "invalid_field", "name"),
        (b'{"name":"' + b"a" * 101 + b'"}', "invalid_field", "name"),
        (b'{"name":"a\\u0000"}', "invalid_field", "name"),
        (b'{"name":"a","extra":{"b":[{"c":"\\u0000"}]}}', "invalid_field", "extra.b[0].c"),
        (b'{"name":"a","nmae":"a"}', "invalid_field", "nmae"),
        (b'{"name":"a","x\\r\\ny":"a"}', "invalid_field", "x??y"),
        (b'{"name":"a","count":"1"}', "invalid_field", "count"),
        (b'{"name":"a","count":1e400}', "invalid_field", "count"),
        (b'{"name":"a","extra":{"x":' + b"[" * 40 + b"]" * 40 + b"}}", "invalid_field", "extra.x"),
        (b'{"name":"a","extra":{"x":' + b"[" * 900 + b"]" * 900 + b"}}", "invalid_field", "extra."),
    ],
)
def test_bad_bodies_name_the_field(ask, raw, code, field):
    response, body = ask("POST", "/api/things", data=raw)
    assert response.code == 400
    assert response.headers.getRawHeaders("content-type") == ["application/problem+json"]
    assert body["code"] == code
    if field is None:
        assert "field" not in body
    else:
        assert body["field"].startswith(field)
        assert (
            field.rstrip(".") in body["detail"]
            or "NUL" in body["detail"]
            or "deep" in body["detail"]
        )


def test_nesting_beyond_the_parser_is_still_an_answer(ask, routes):
    routes.by_endpoint.clear()

    @routes.post("/api/deep", "health.read", body=Thing)
    async def deep(call: Call):
        raise AssertionError("must not get here")

    raw = b'{"name":"a","extra":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    response, body = ask("POST", "/api/deep", data=raw)
    assert (response.code, body["code"]) == (400, "invalid_field")


def test_a_body_over_the_limit(ask):
    response, body = ask("POST", "/api/things", name="a", extra={"b": "x" * 2000})
    assert (response.code, body["code"]) == (413, "body_too_large")


def test_a_body_of_another_kind(ask):
    response, body = ask("POST", "/api/things", data=b"{}", headers={"Content-Type": "text/plain"})
    assert (response.code, body["code"]) == (415, "unsupported_media_type")


def test_a_body_where_none_is_taken(ask):
    response, body = ask("DELETE", f"/api/things/{UUID}", name="a")
    assert (response.code, body["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("lim=1", "lim"),
        ("l%0aim=1", "l?im"),
        ("limit=%ff", "limit"),
    ],
)
def test_bad_queries_name_the_parameter(ask, query, field):
    response, body = ask("GET", f"/api/things?{query}")
    assert (response.code, body["code"], body["field"]) == (400, "invalid_field", field)


def test_queries(ask):
    assert ask("GET", "/api/things?limit=3")[1] == {"limit": 3}
    response, body = ask("GET", f"/api/things/{UUID}?x=1")
    assert (response.code, body["field"]) == (400, "x")


@pytest.mark.parametrize("path", ["/api/things/1", "/api/things/", "//api/things", "/api/nope"])
def test_other_paths_are_not_found_and_never_redirected(ask, path):
    response, body = ask("GET", path)
    assert (response.code, body["code"]) == (404, "not_found")
    assert response.headers.getRawHeaders("location") is None


def test_other_methods_are_told_which(ask):
    response, body = ask("PATCH", f"/api/things/{UUID}")
    assert (response.code, body["code"]) == (405, "method_not_allowed")
    assert response.headers.getRawHeaders("allow") == ["DELETE, GET, HEAD"]


@pytest.mark.parametrize(
    "header", [None, "", "good", "Basic good", "Bearer", "Bearer ", "Bearer " + "x" * 5000]
)
def test_without_a_token(ask, header):
    headers = {} if header is None else {"Authorization": header}
    response, body = ask("GET", "/api/things", token=None, headers=headers)
    assert (response.code, body["code"]) == (401, "unauthenticated")
    assert response.headers.getRawHeaders("www-authenticate") == ["Bearer"]


def test_a_stale_token(ask):
    response, body = ask("GET", "/api/things", token="stale")
    assert (response.code, body["code"]) == (401, "session_expired")


def test_what_the_role_does_not_permit(ask):
    response, body = ask("POST", "/api/forbidden")
    assert (response.code, body["code"]) == (403, "forbidden")
    assert "admin" in body["detail"]
    assert ask("GET", f"/api/users/{UUID}")[0].code == 403


def test_a_person_is_no_device(ask):
    response, body = ask("GET", "/api/device")
    assert (response.code, body["code"]) == (401, "unauthenticated")


def test_our_own_mistakes_are_logged_and_not_told(ask):
    seen = EventLoggingObserver()
    globalLogPublisher.addObserver(seen)
    try:
        response, body = ask("POST", "/api/broken")
    finally:
        globalLogPublisher.removeObserver(seen)
    assert (response.code, body["code"]) == (500, "internal")
    assert "Sesame" not in json.dumps(body)
    assert "Traceback" not in json.dumps(body)
    logged = [event for event in seen if "incident" in event]
    assert len(logged) == 1
    assert logged[0]["incident"] in body["detail"]
    assert "the secret is Sesame" in str(logged[0]["log_failure"])


def test_etags(ask):
    response, body = ask("GET", "/api/tagged")
    assert (response.code, body) == (200, {"a": 1})
    assert response.headers.getRawHeaders("etag") == ['"v1"']
    assert response.headers.getRawHeaders("set-cookie") == ["c=1", "d=2"]
    for tag in ['"v1"', 'W/"v1"', '"v0", "v1"']:
        response, body = ask("GET", "/api/tagged", headers={"If-None-Match": tag})
        assert (response.code, body) == (304, b"")
    assert ask("GET", "/api/tagged", headers={"If-None-Match": '"v2"'})[0].code == 200


def test_head_has_the_headers_only(ask):
    response, body = ask("HEAD", "/api/tagged")
    assert (response.code, body) == (200, b"")
    assert response.headers.getRawHeaders("content-length") == ["7"]


def test_a_handler_runs_to_its_end_when_the_client_is_gone(routes):
    treq = StubTreq(Gate(routes, authorities=None))
    asking = treq.get("https://console.test/api/slow")
    asking.addErrback(lambda _: None)
    treq.flush()
    asking.cancel()
    treq.flush()
    assert routes.done == []
    routes.waiting.callback(None)
    assert routes.done == [True]


def test_a_route_needs_a_known_action(routes):
    with pytest.raises(ValueError, match="RULES"):
        routes.get("/api/x", "x.unheard_of")
    with pytest.raises(ValueError, match="twice"):
        routes.get("/api/tagged", "health.read")(lambda call: None)
