from __future__ import annotations

import pytest


def test_its_whole_life(api):
    created = api.ask("POST", "/api/fleets", {"name": "Kiosks", "description": "in\nshops"})
    assert created.status == 201
    assert set(created.body) == {
        "id", "name", "description", "device_count", "created_at", "updated_at"
    }  # fmt: skip
    path = f"/api/fleets/{created.body['id']}"
    device = api.home.device("d1", created.body["id"])
    assert api.ask("GET", path, who="viewer").body["device_count"] == 1
    listed = api.ask("GET", f"{path}/devices", who="viewer").body
    assert ([item["id"] for item in listed["items"]], listed["total"]) == ([device], 1)
    assert listed["items"][0]["fleet_name"] == "Kiosks"
    assert api.ask("DELETE", path).code == "in_use"
    assert api.ask("PUT", path, {"description": None}).body["description"] is None
    assert api.ask("DELETE", f"/api/devices/{device}").status == 204
    assert api.ask("DELETE", path).status == 204
    assert api.ask("GET", f"{path}/devices").code == "not_found"
    assert api.ask("GET", "/api/fleets").body == {"items": [], "next": None, "total": 0}


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "name"), ({"name": ""}, "name"), ({"name": None}, "name"), ({"name": "\x07"}, "name")],
)
def test_bad_fields(api, body, field):
    answer = api.ask("POST", "/api/fleets", body)
    assert (answer.code, answer.body["field"]) == ("invalid_field", field)


@pytest.mark.parametrize(
    ("query", "field"), [("limit=0", "limit"), ("limit=501", "limit"), ("cursor=-1", "cursor")]
)
def test_bad_pages(api, query, field):
    answer = api.ask("GET", f"/api/fleets?{query}")
    assert (answer.code, answer.body["field"]) == ("invalid_field", field)


def test_a_name_twice(api):
    api.ask("POST", "/api/fleets", {"name": "a"})
    answer = api.ask("POST", "/api/fleets", {"name": "a"})
    assert (answer.status, answer.code, answer.body["field"]) == (409, "already_exists", "name")
