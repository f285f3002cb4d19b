from __future__ import annotations

import json

import pytest

from tests.api.test_containers import WEB
from tests.services.world import PAGE, now


@pytest.fixture
def device(console):
    """A device with one deployment and one door, at revision 2."""
    world = console.world
    id_ = world.device()
    now(world.deployments.deploy(world.operator, world.upload().id, device_id=id_))
    now(
        world.exposures.create(
            world.operator, id_, name="web", container_name="web", internal_port=80
        )
    )
    return id_


def deployment_of(console, device):
    return console.ask("GET", f"/api/devices/{device}/deployments").body["items"][0]


def test_a_device_is_told_what_to_run_and_whom_to_let_in(console, device):
    answer = console.tell(device, "GET", "/api/agent/software")
    assert answer.status == 200
    assert answer.body == {
        "revision": 2,
        "stacks": [
            {
                "deployment_id": deployment_of(console, device)["id"],
                "name": "page",
                "version": "1",
                "compose": PAGE,
                "env": {},
            }
        ],
    }
    answer = console.tell(device, "GET", "/api/agent/config")
    assert answer.body == {
        "revision": 2,
        "heartbeat_s": 60,
        "doors": [{"service": "web", "port": 80}],
    }


@pytest.mark.parametrize("path", ["/api/agent/software", "/api/agent/config"])
def test_what_has_not_changed_costs_nothing(console, device, path):
    first = console.tell(device, "GET", path)
    again = console.tell(device, "GET", path, etag=first.etag)
    assert (again.status, again.body, again.etag) == (304, b"", first.etag)
    world = console.world
    now(
        world.exposures.create(
            world.operator, device, name="x", container_name="web", internal_port=81
        )
    )
    changed = console.tell(device, "GET", path, etag=first.etag)
    assert changed.status == 200
    assert changed.body["revision"] == 3
    assert changed.etag != first.etag


def test_a_report(console, device):
    id_ = deployment_of(console, device)["id"]
    said = {"deployment_id": id_, "revision": 2, "status": "failed", "detail": "no such image"}
    body = {"deployments": [said], "containers": [WEB]}
    answer = console.tell(device, "POST", "/api/agent/status", body)
    assert (answer.status, answer.body) == (200, {"revision": 2})
    shown = deployment_of(console, device)
    assert (shown["status"], shown["detail"]) == ("failed", "no such image")
    older = {**said, "revision": 1, "status": "deployed"}
    console.tell(device, "POST", "/api/agent/status", {"deployments": [older]})
    assert deployment_of(console, device)["status"] == "failed"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"deployments": [{"deployment_id": "1"}]}, "deployments[0].deployment_id"),
        ({"deployments": [{"deployment_id": "x" * 36}]}, "deployments[0].deployment_id"),
        ({"deployments": {}}, "deployments"),
        ({"containers": [{"id": 1}]}, "containers[0].id"),
        ({"containers": [WEB] * 513}, "containers"),
        ({"containers": [{**WEB, "name": "x\0"}]}, "containers[0].name"),
        ({"containers": [{**WEB, "ports": [{"container_port": 0}]}]}, "containers[0].ports[0]"),
    ],
)
def test_a_report_that_cannot_be_read_is_refused(console, device, body, field):
    answer = console.tell(device, "POST", "/api/agent/status", body)
    assert (answer.status, answer.body["code"]) == (400, "invalid_field")
    assert answer.body["field"].replace("[...]", "[0]").startswith(field), json.dumps(answer.body)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/agent/software", None),
        ("GET", "/api/agent/config", None),
        ("POST", "/api/agent/status", {}),
    ],
)
def test_only_a_device_may_ask_and_only_over_its_tunnel(console, method, path, body):
    assert console.tell(None, method, path, body).status == 401
    for who in ("admin", "operator", "viewer"):
        assert console.ask(method, path, body, who=who).status == 401
