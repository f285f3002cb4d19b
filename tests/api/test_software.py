from __future__ import annotations

from uuid import uuid4

import pytest

from tests.services.world import PAGE, PAGE_2, ROOT


def upload(console, compose=PAGE, name="Page", **more):
    body = {"name": name, "compose": compose, **more}
    answer = console.ask("POST", "/api/software/upload", body)
    assert answer.status == 201
    return answer.body


def test_uploading_listing_and_reading(console):
    made = upload(console, notes="first")
    assert made == {
        "id": made["id"],
        "name": "Page",
        "slug": "page",
        "source": "manual",
        "repo_url": None,
        "current_version": "1",
        "versions": ["1"],
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    assert made["created_at"].endswith("Z")
    upload(console, PAGE_2, version="v2")
    answer = console.ask("GET", "/api/software", who="viewer")
    assert (answer.status, answer.body["total"], answer.body["next"]) == (200, 1, None)
    assert answer.body["items"][0]["versions"] == ["v2", "1"]
    answer = console.ask("GET", f"/api/software/{made['id']}", who="viewer")
    assert answer.body == console.ask("GET", "/api/software").body["items"][0]


def test_pages_of_the_list(console):
    for name in ("a", "b", "c"):
        upload(console, name=name)
    answer = console.ask("GET", "/api/software?limit=2&cursor=1")
    assert [item["name"] for item in answer.body["items"]] == ["b", "c"]
    assert (answer.body["total"], answer.body["next"]) == (3, None)
    assert console.ask("GET", "/api/software?limit=2").body["next"] == "2"
    assert console.ask("GET", "/api/software?limit=0").status == 400
    assert console.ask("GET", "/api/software?limit=501").status == 400


def test_versions_with_what_is_in_them(console):
    made = upload(console, notes="first")
    upload(console, PAGE_2)
    path = f"/api/software/{made['id']}/versions"
    answer = console.ask("GET", path, who="viewer")
    assert answer.body["total"] == 2
    latest, first = answer.body["items"]
    assert (latest["version"], first["version"], first["notes"]) == ("2", "1", "first")
    assert "compose" not in first
    assert first["digest"].startswith("sha256:")
    assert first["privileges"] is None
    assert first["services"] == [
        {
            "name": "web",
            "image": "page:1",
            "ports": [{"container_port": 80, "protocol": "tcp"}],
        }
    ]
    assert console.ask("GET", f"{path}?limit=1&cursor=1").body["items"] == [first]
    assert console.ask("GET", f"{path}?limit=1").body["next"] == "1"
    one = console.ask("GET", f"{path}/2", who="viewer").body
    assert one == {**latest, "compose": PAGE_2}


def test_deploying(console):
    made = upload(console)
    device, fleet = console.world.device(), console.world.fleet()
    path = f"/api/software/{made['id']}/deploy"
    answer = console.ask("POST", path, {"device_id": device})
    assert answer.status == 201
    assert answer.body == {
        "id": answer.body["id"],
        "software_id": made["id"],
        "software_name": "Page",
        "fleet_id": None,
        "device_id": device,
        "version": "1",
        "pinned": False,
        "status": "pending",
        "detail": None,
        "created_at": answer.body["created_at"],
        "updated_at": answer.body["updated_at"],
    }
    assert answer.body["created_at"].endswith("Z")
    assert console.world.rung == [(device, 1)]
    second = console.ask("POST", path, {"fleet_id": fleet, "version": "1", "pinned": True})
    assert (second.status, second.body["fleet_id"], second.body["pinned"]) == (201, fleet, True)
    listed = console.ask("GET", f"/api/software/{made['id']}/deployments", who="viewer")
    assert [item["id"] for item in listed.body["items"]] == [second.body["id"], answer.body["id"]]


def test_deleting(console):
    made = upload(console)
    path = f"/api/software/{made['id']}"
    device = console.world.device()
    deployed = console.ask("POST", f"{path}/deploy", {"device_id": device}).body
    refused = console.ask("DELETE", path, who="admin")
    assert (refused.status, refused.body["code"]) == (409, "in_use")
    assert console.ask("DELETE", f"/api/deployments/{deployed['id']}").status == 204
    assert console.ask("DELETE", path, who="admin").status == 204
    assert console.ask("GET", path).status == 404


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"name": "x"}, "invalid_field", "compose"),
        ({"compose": PAGE}, "invalid_field", "name"),
        ({"name": "x", "compose": ""}, "invalid_field", "compose"),
        ({"name": "x", "compose": 1}, "invalid_field", "compose"),
        ({"name": "x", "compose": "x" * (128 * 1024 + 1)}, "invalid_field", "compose"),
        ({"name": "x", "compose": PAGE, "version": "../1"}, "invalid_field", "version"),
        ({"name": "x", "compose": PAGE, "kind": "y"}, "invalid_field", "kind"),
        ({"name": "---", "compose": PAGE}, "invalid_field", "name"),
        ({"name": "x", "compose": "services: ["}, "compose_invalid", "compose"),
        (
            {"name": "x", "compose": "services: {a: {build: .}}"},
            "compose_invalid",
            "services.a.build",
        ),
    ],
)
def test_what_cannot_be_uploaded_is_named(console, body, code, field):
    answer = console.ask("POST", "/api/software/upload", body)
    assert (answer.status, answer.body["code"], answer.body["field"]) == (400, code, field)
    assert console.ask("GET", "/api/software").body["total"] == 0


def test_who_may_what(console):
    made = upload(console)
    path, device = f"/api/software/{made['id']}", console.world.device()
    new = {"name": "x", "compose": PAGE}
    root = {"name": "root", "compose": ROOT}
    for method, where, body, who in [
        ("POST", "/api/software/upload", new, "viewer"),
        ("POST", "/api/software/upload", root, "operator"),
        ("POST", f"{path}/deploy", {"device_id": device}, "viewer"),
        ("DELETE", path, None, "viewer"),
        ("DELETE", path, None, "operator"),
    ]:
        answer = console.ask(method, where, body, who=who)
        assert (answer.status, answer.body["code"]) == (403, "forbidden")
        assert console.ask(method, where, body, who="nobody").status == 401
    assert console.ask("POST", "/api/software/upload", root, who="admin").status == 201


def test_ids_of_nobody(console):
    made = upload(console)
    nobody = uuid4()
    for method, path, body in [
        ("GET", f"/api/software/{nobody}", None),
        ("GET", "/api/software/1", None),
        ("GET", f"/api/software/{nobody}/versions", None),
        ("GET", f"/api/software/{made['id']}/versions/9", None),
        ("GET", f"/api/software/{nobody}/deployments", None),
        ("POST", f"/api/software/{nobody}/deploy", {"device_id": console.world.device()}),
        ("POST", f"/api/software/{made['id']}/deploy", {"device_id": str(nobody)}),
        ("DELETE", f"/api/software/{nobody}", None),
    ]:
        answer = console.ask(method, path, body, who="admin")
        assert (answer.status, answer.body["code"]) == (404, "not_found")
