from __future__ import annotations

from uuid import uuid4

import pytest

WEB = {"name": "web", "container_name": "page", "internal_port": 80}


@pytest.fixture
def path(console):
    return f"/api/devices/{console.world.device()}/exposed-services"


def test_the_life_of_an_exposed_service(console, path):
    made = console.ask("POST", path, WEB)
    assert made.status == 201
    assert made.body == {
        "id": made.body["id"],
        "device_id": path.split("/")[3],
        "name": "web",
        "container_name": "page",
        "internal_port": 80,
        "external_port": None,
        "protocol": "http",
        "url_path": None,
        "auth_required": True,
        "enabled": True,
        "created_at": made.body["created_at"],
        "updated_at": made.body["updated_at"],
        "url": "https://web--kiosk-1.apps.example.com:8443/",
    }
    one = f"{path}/{made.body['id']}"
    assert console.ask("GET", one, who="viewer").body == made.body
    listed = console.ask("GET", path, who="viewer").body
    assert listed == {"items": [made.body], "next": None, "total": 1}

    changed = console.ask("PUT", one, {"internal_port": 8080, "name": "shop"}).body
    assert (changed["internal_port"], changed["name"]) == (8080, "shop")
    assert changed["url"] == "https://shop--kiosk-1.apps.example.com:8443/"
    assert changed["updated_at"] > made.body["updated_at"]
    assert console.ask("POST", f"{one}/disable").body["enabled"] is False
    assert console.ask("POST", f"{one}/enable").body["enabled"] is True
    # What was read can be written back.
    back = {k: v for k, v in changed.items() if k in {*WEB, "protocol", "external_port"}}
    assert console.ask("PUT", one, back).status == 200
    assert console.ask("DELETE", one).status == 204
    assert console.ask("GET", one).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**WEB, "name": "Web Page"}, "name"),
        ({**WEB, "name": None}, "name"),
        ({**WEB, "internal_port": 0}, "internal_port"),
        ({**WEB, "internal_port": "80"}, "internal_port"),
        ({**WEB, "container_name": "a b"}, "container_name"),
        ({**WEB, "protocol": "tcp"}, "protocol"),
        ({**WEB, "external_port": 80}, "external_port"),
        ({**WEB, "auth_required": "no"}, "auth_required"),
        ({**WEB, "public": True}, "public"),
        ({"name": "web"}, "container_name"),
    ],
)
def test_wrong_values_are_named(console, path, body, field):
    answer = console.ask("POST", path, body)
    assert (answer.status, answer.body["code"], answer.body["field"]) == (
        400,
        "invalid_field",
        field,
    )


def test_who_may_what(console, path):
    one = f"{path}/{console.ask('POST', path, WEB).body['id']}"
    for method, where, body in [
        ("POST", path, WEB),
        ("PUT", one, {"enabled": False}),
        ("POST", f"{one}/enable", None),
        ("POST", f"{one}/disable", None),
        ("DELETE", one, None),
    ]:
        assert console.ask(method, where, body, who="viewer").status == 403
    bare = {**WEB, "name": "bare", "auth_required": False}
    assert console.ask("POST", path, bare).status == 403
    assert console.ask("PUT", one, {"auth_required": False}).status == 403
    assert console.ask("POST", path, bare, who="admin").body["auth_required"] is False


def test_a_name_that_is_taken(console, path):
    console.ask("POST", path, WEB)
    answer = console.ask("POST", path, WEB)
    assert (answer.status, answer.body["code"], answer.body["field"]) == (
        409,
        "already_exists",
        "name",
    )


def test_another_devices_services_are_not_found(console, path):
    made = console.ask("POST", path, WEB).body
    other = f"/api/devices/{console.world.device()}/exposed-services/{made['id']}"
    for method, where, body in [
        ("GET", other, None),
        ("PUT", other, {"enabled": False}),
        ("POST", f"{other}/disable", None),
        ("DELETE", other, None),
        ("GET", f"/api/devices/{uuid4()}/exposed-services", None),
        ("POST", f"/api/devices/{uuid4()}/exposed-services", WEB),
    ]:
        assert console.ask(method, where, body, who="admin").status == 404
