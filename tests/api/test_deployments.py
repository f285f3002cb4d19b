from __future__ import annotations

from uuid import uuid4

import pytest

from tests.services.world import now


@pytest.fixture
def deployed(console):
    """A fleet of two with a deployment: its id and the two devices."""
    world = console.world
    fleet = world.fleet()
    devices = [world.device(fleet_id=fleet) for _ in range(2)]
    made = now(world.deployments.deploy(world.operator, world.upload().id, fleet_id=fleet))
    return made.id, devices


def test_a_device_lists_its_deployments_with_its_own_status(console, deployed):
    id_, (one, two) = deployed
    said = {"deployment_id": id_, "revision": 1, "status": "deployed"}
    console.tell(one, "POST", "/api/agent/status", {"deployments": [said]})
    for device, status in [(one, "deployed"), (two, "pending")]:
        answer = console.ask("GET", f"/api/devices/{device}/deployments", who="viewer")
        assert answer.body["total"] == 1
        assert [(d["id"], d["status"]) for d in answer.body["items"]] == [(id_, status)]
    whole = console.ask("GET", f"/api/deployments/{id_}", who="viewer").body
    assert (whole["status"], whole["detail"]) == ("pending", "1 of 2 devices done")


def test_ending_a_deployment(console, deployed):
    id_, (one, _two) = deployed
    assert console.ask("DELETE", f"/api/deployments/{id_}", who="viewer").status == 403
    assert console.ask("DELETE", f"/api/deployments/{id_}").status == 204
    assert console.ask("DELETE", f"/api/deployments/{id_}").status == 404
    assert console.ask("GET", f"/api/devices/{one}/deployments").body["items"] == []


def test_ids_of_nobody(console):
    for path in (f"/api/deployments/{uuid4()}", f"/api/devices/{uuid4()}/deployments"):
        assert console.ask("GET", path).status == 404
