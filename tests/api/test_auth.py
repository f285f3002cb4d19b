"""Signing in over HTTP: bodies, cookies, and pages that are not ours."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest

from edgetainer.api.auth import COOKIE
from tests.api.installation import ORIGIN
from tests.services.home import PASSWORD

OURS = {"X-Edgetainer": "1"}


def _login(api, username="admin", password=PASSWORD, **kwargs):
    body = {"username": username, "password": password}
    return api.ask("POST", "/api/auth/login", body, who=None, **kwargs)


def _cookie(answer):
    (line,) = answer.cookies
    return SimpleCookie(line)[COOKIE]


def _with(token, **headers):
    return {"Cookie": f"{COOKIE}={token}", **OURS, **headers}


def _refresh(api, headers):
    return api.ask("POST", "/api/auth/refresh", who=None, headers=headers)


def test_login(api):
    answer = _login(api)
    assert answer.status == 200
    assert set(answer.body) == {"access_token", "token_type", "expires_in", "user"}
    assert (answer.body["token_type"], answer.body["expires_in"]) == ("Bearer", 600)
    user = answer.body["user"]
    assert set(user) == {"id", "username", "email", "role", "created_at", "updated_at"}
    assert (user["username"], user["role"]) == ("admin", "admin")
    cookie = _cookie(answer)
    assert cookie["httponly"]
    assert cookie["secure"]
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Strict", "/", "")
    assert int(cookie["max-age"]) == 14 * 24 * 3600
    assert answer.headers.getRawHeaders("cache-control") == ["no-store"]
    bearer = {"Authorization": f"Bearer {answer.body['access_token']}"}
    assert api.ask("GET", "/api/auth/me", who=None, headers=bearer).body == user


def test_wrong(api):
    answer = _login(api, password="wrong")
    assert (answer.status, answer.code) == (401, "invalid_credentials")
    assert answer.cookies == []
    for _ in range(9):
        _login(api, password="wrong")
    answer = _login(api)
    assert (answer.status, answer.code) == (429, "too_many_attempts")
    assert answer.headers.getRawHeaders("retry-after") == ["900"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "a"}, "password"),
        ({"username": 1, "password": "x"}, "username"),
        ({"username": "a", "password": "x" * 1025}, "password"),
        ({"username": "a", "password": "x", "remember": True}, "remember"),
    ],
)
def test_bad_bodies(api, body, field):
    answer = api.ask("POST", "/api/auth/login", body, who=None)
    assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_field", field)


def test_another_page_cannot_sign_a_browser_in(api):
    answer = _login(api, headers={"Origin": "https://dev.apps.console.test"})
    assert (answer.status, answer.code) == (403, "origin_refused")
    assert _login(api, headers={"Content-Type": "text/plain"}).status == 415
    assert _login(api, headers={"Origin": ORIGIN}).status == 200


def test_refresh_rotates_the_cookie(api):
    first = _login(api)
    second = _refresh(api, _with(_cookie(first).value, Origin=ORIGIN))
    assert second.status == 200
    assert _cookie(second).value != _cookie(first).value
    assert second.body["user"] == first.body["user"]
    api.home.clock.advance(11)
    assert _refresh(api, _with(_cookie(first).value)).code == "session_expired"
    assert _refresh(api, _with(_cookie(second).value)).code == "session_expired"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Edgetainer": "0"},
        {"X-Edgetainer": ""},
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "https://dev.apps.example.com:8443"},
        {"Origin": "http://console.test:8443"},
    ],
    ids=str,
)
def test_another_page_cannot_use_the_cookie(api, headers):
    token = _cookie(_login(api)).value
    answer = _refresh(api, _with(token, **headers))
    assert (answer.status, answer.code) == (403, "origin_refused")
    assert _refresh(api, _with(token)).status == 200


@pytest.mark.parametrize("cookie", [None, "", "x", "\xff", f"{COOKIE}", f"{COOKIE}=", "a=b; ;;"])
def test_cookies_that_are_none(api, cookie):
    headers = dict(OURS) if cookie is None else {**OURS, "Cookie": cookie}
    answer = _refresh(api, headers)
    assert (answer.status, answer.code) == (401, "session_expired")


def test_logout_with_the_cookie(api):
    signed = _login(api)
    bearer = {"Authorization": f"Bearer {signed.body['access_token']}"}
    token = _cookie(signed).value
    answer = api.ask("POST", "/api/auth/logout", who=None, headers=_with(token, **bearer))
    assert (answer.status, answer.body) == (204, b"")
    assert _cookie(answer)["max-age"] == "0"
    assert api.ask("GET", "/api/auth/me", who=None, headers=bearer).code == "session_expired"
    assert _refresh(api, _with(token)).code == "session_expired"


def test_logout_of_a_program_without_cookies(api):
    bearer = {"Authorization": f"Bearer {_login(api).body['access_token']}"}
    assert api.ask("POST", "/api/auth/logout", who=None, headers=bearer).status == 204
    assert api.ask("GET", "/api/auth/me", who=None, headers=bearer).code == "session_expired"


def test_another_page_cannot_sign_out(api):
    token = _cookie(_login(api)).value
    for headers in ({"Origin": "https://evil.test"}, {"X-Edgetainer": "0"}):
        answer = api.ask("POST", "/api/auth/logout", who=None, headers=_with(token, **headers))
        assert answer.code == "origin_refused"
    assert _refresh(api, _with(token)).status == 200


def test_logout_of_nobody(api):
    assert api.ask("POST", "/api/auth/logout", who=None, headers=OURS).status == 204
