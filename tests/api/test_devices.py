from __future__ import annotations

from uuid import uuid4

import pytest

FIELDS = {
    "id", "device_id", "name", "fleet_id", "fleet_name", "status", "last_seen", "ip_address",
    "os_version", "agent_version", "hardware_info", "subdomain", "subdomain_enabled", "url",
    "metrics", "created_at", "updated_at",
}  # fmt: skip


def test_its_whole_life(api):
    fleet = api.ask("POST", "/api/fleets", {"name": "f"}).body["id"]
    created = api.ask("POST", "/api/devices", {"device_id": "Till 3"})
    assert created.status == 201
    assert set(created.body) == FIELDS
    assert (created.body["name"], created.body["status"]) == ("Till 3", "pending")
    assert created.body["url"] == "https://till-3.apps.example.com:8443/"
    path = f"/api/devices/{created.body['id']}"
    assert api.ask("GET", path, who="viewer").body == created.body
    moved = api.ask("POST", f"{path}/move", {"fleet_id": fleet}, who="operator")
    assert moved.body["fleet_name"] == "f"
    changed = api.ask("PUT", path, {"name": "Till", "subdomain": "till"}, who="operator")
    assert (changed.body["name"], changed.body["subdomain"]) == ("Till", "till")
    hidden = api.ask("PUT", path, {"subdomain_enabled": False}, who="operator")
    assert hidden.body["url"] is None
    for query, total in [("", 1), (f"?fleet_id={fleet}", 1), ("?status=online", 0)]:
        assert api.ask("GET", f"/api/devices{query}").body["total"] == total
    assert api.ask("POST", f"{path}/revoke").status == 204
    assert api.ask("DELETE", path).status == 204
    assert api.ask("GET", path).code == "not_found"


def test_the_status_of_the_moment(api):
    id_ = api.home.device()
    path = f"/api/devices/{id_}/status"
    assert api.ask("GET", path).body == {
        "status": "pending", "online": False, "last_seen": None, "ip_address": None,
        "connected_s": None,
    }  # fmt: skip
    api.home.connect(id_)
    body = api.ask("GET", path).body
    assert (body["online"], body["last_seen"]) == (True, "2026-11-23T12:00:00Z")


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "", {}, "device_id"),
        ("POST", "", {"device_id": "a", "fleet_id": "x"}, "fleet_id"),
        ("POST", "", {"device_id": "a", "fleet_id": str(uuid4())}, "fleet_id"),
        ("PUT", "/{}", {"subdomain": "www"}, "subdomain"),
        ("PUT", "/{}", {"subdomain_enabled": "yes"}, "subdomain_enabled"),
        ("PUT", "/{}", {"fleet_id": None}, "fleet_id"),
        ("POST", "/{}/move", {}, "fleet_id"),
        ("POST", "/{}/move", {"fleet_id": str(uuid4())}, "fleet_id"),
        ("GET", "?status=sleeping", None, "status"),
        ("GET", "?fleet_id=x", None, "fleet_id"),
    ],
)
def test_bad_fields(api, method, path, body, field):
    path = path.format(api.home.device())
    answer = api.ask(method, f"/api/devices{path}", body)
    assert (answer.status, answer.code, answer.body["field"]) == (400, "invalid_field", field)


def test_a_subdomain_twice(api):
    api.home.device("one")
    answer = api.ask("PUT", f"/api/devices/{api.home.device('two')}", {"subdomain": "one"})
    assert (answer.status, answer.code) == (409, "already_exists")
