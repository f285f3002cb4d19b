from __future__ import annotations

import pytest

from tests.services.home import PASSWORD

GRACE = {"username": "Grace", "email": "g@x.test", "password": PASSWORD, "role": "operator"}


def test_their_whole_life(api):
    created = api.ask("POST", "/api/users", GRACE)
    assert created.status == 201
    assert set(created.body) == {"id", "username", "email", "role", "created_at", "updated_at"}
    path = f"/api/users/{created.body['id']}"
    assert api.ask("GET", path).body == created.body
    listed = api.ask("GET", "/api/users?limit=2").body
    assert [user["username"] for user in listed["items"]] == ["admin", "grace"]
    assert (listed["next"], listed["total"]) == ("2", 4)
    rest = api.ask("GET", "/api/users?limit=2&cursor=2").body
    assert [user["username"] for user in rest["items"]] == ["operator", "viewer"]
    assert rest["next"] is None
    changed = api.ask("PUT", path, {"role": "viewer", "username": "hopper"})
    assert (changed.body["role"], changed.body["username"]) == ("viewer", "hopper")
    assert api.ask("DELETE", path).status == 204
    assert api.ask("GET", path).code == "not_found"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": "a b"}, "username"),
        ({"username": "é"}, "username"),
        ({"username": "x" * 65}, "username"),
        ({"email": "no address"}, "email"),
        ({"role": "root"}, "role"),
        ({"password": "short"}, "password"),
        ({"id": "1"}, "id"),
    ],
)
def test_bad_fields(api, change, field):
    answer = api.ask("POST", "/api/users", GRACE | change)
    assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_field", field)


def test_conflicts(api):
    answer = api.ask("POST", "/api/users", GRACE | {"username": "ADMIN"})
    assert (answer.status, answer.code) == (409, "already_exists")
    answer = api.ask("DELETE", f"/api/users/{api.home.admin.user_id}")
    assert (answer.status, answer.code) == (409, "in_use")


def test_oneself(api):
    mine, other = (f"/api/users/{who.user_id}" for who in (api.home.viewer, api.home.admin))
    assert api.ask("GET", mine, who="viewer").body["username"] == "viewer"
    assert api.ask("PUT", mine, {"email": "new@x.test"}, who="viewer").status == 200
    assert api.ask("PUT", mine, {"role": "admin"}, who="viewer").code == "forbidden"
    assert api.ask("GET", other, who="viewer").code == "forbidden"
    assert api.ask("PUT", other, {"email": "new@x.test"}, who="viewer").code == "forbidden"
    answer = api.ask("PUT", mine, {"password": "another long password"}, who="viewer")
    assert (answer.status, answer.body["field"]) == (400, "current_password")
