from __future__ import annotations

from uuid import uuid4

import pytest

from edgetainer.services.agents import Progress
from tests.services.world import PAGE_2, ROOT, identity, now, refusal


def statuses(world, device):
    return [
        (seen.deployment.id, seen.deployment.version, seen.status)
        for seen in now(world.deployments.of_device(world.viewer, device))
    ]


def report(world, device, deployment_id, revision, status, detail=None):
    said = [Progress(deployment_id, revision, status, detail)]
    return now(world.agents.report(identity(device), said, None))


def test_deploying_to_a_device_raises_its_revision_and_rings_it(world):
    page, device, other = world.upload(), world.device(), world.device()
    seen = world.watch("deployments")
    made = now(world.deployments.deploy(world.operator, page.id, device_id=device))
    assert (made.device_id, made.fleet_id) == (device, None)
    assert (made.software_name, made.version, made.status) == ("Page", "1", "pending")
    assert made.pinned is False
    assert world.rung == [(device, 1)]
    assert statuses(world, device) == [(made.id, "1", "pending")]
    assert statuses(world, other) == []
    assert [event.data["id"] for event in seen] == [made.id]
    assert now(world.deployments.get(world.viewer, made.id)) == made
    assert now(world.deployments.of_software(world.viewer, page.id, limit=9, offset=0)) == (
        [made],
        1,
    )


def test_deploying_to_a_fleet_rings_every_device_of_it(world):
    page, fleet = world.upload(), world.fleet()
    members = [world.device(fleet_id=fleet) for _ in range(3)]
    world.device()
    made = now(world.deployments.deploy(world.operator, page.id, fleet_id=fleet))
    assert sorted(world.rung) == sorted((member, 1) for member in members)
    assert made.status == "pending"
    assert made.detail == "0 of 3 devices done"
    for member in members:
        assert statuses(world, member) == [(made.id, "1", "pending")]


def test_a_newer_release_takes_the_place_of_the_older(world):
    page, device = world.upload(), world.device()
    first = now(world.deployments.deploy(world.operator, page.id, device_id=device))
    report(world, device, first.id, 1, "deployed")
    world.upload(PAGE_2)
    second = now(world.deployments.deploy(world.operator, page.id, device_id=device, pinned=True))
    assert (second.id, second.version, second.pinned) == (first.id, "2", True)
    assert second.status == "pending"
    assert world.rung == [(device, 1), (device, 2)]
    # What it says of the release before is too late.
    report(world, device, first.id, 1, "failed", "no such image")
    assert statuses(world, device) == [(first.id, "2", "pending")]
    # And back again, by its version.
    third = now(world.deployments.deploy(world.operator, page.id, device_id=device, version="1"))
    assert third.version == "1"


def test_the_devices_own_deployment_goes_before_its_fleets(world):
    page, fleet = world.upload(), world.fleet()
    device, other = world.device(fleet_id=fleet), world.device(fleet_id=fleet)
    whole = now(world.deployments.deploy(world.operator, page.id, fleet_id=fleet))
    report(world, other, whole.id, 1, "deployed")
    world.upload(PAGE_2)
    own = now(world.deployments.deploy(world.operator, page.id, device_id=device))
    assert statuses(world, device) == [(own.id, "2", "pending")]
    # The fleet's waits for this device no longer.
    assert now(world.deployments.get(world.viewer, whole.id)).status == "deployed"

    now(world.deployments.remove(world.operator, own.id))
    assert statuses(world, device) == [(whole.id, "1", "pending")]
    again = now(world.deployments.get(world.viewer, whole.id))
    assert (again.status, again.detail) == ("pending", "1 of 2 devices done")
    # A report from before the removal does not count for the fleet's.
    report(world, device, whole.id, 2, "deployed")
    assert statuses(world, device) == [(whole.id, "1", "pending")]
    report(world, device, whole.id, 3, "deployed")
    assert now(world.deployments.get(world.viewer, whole.id)).status == "deployed"


def test_removing_a_deployment_rings_too(world):
    page, device = world.upload(), world.device()
    made = now(world.deployments.deploy(world.operator, page.id, device_id=device))
    now(world.deployments.remove(world.operator, made.id))
    assert world.rung == [(device, 1), (device, 2)]
    assert statuses(world, device) == []
    assert refusal(world.deployments.remove(world.operator, made.id)).code == "not_found"


def test_privileged_releases_are_deployed_by_admins(world):
    root, device = world.upload(ROOT, name="Root"), world.device()
    error = refusal(world.deployments.deploy(world.operator, root.id, device_id=device))
    assert (error.code, error.field) == ("forbidden", "services.web.privileged")
    assert world.rung == []
    now(world.deployments.deploy(world.admin, root.id, device_id=device))
    assert world.rung == [(device, 1)]


def test_a_target_is_one_that_is_there(world):
    page, device, fleet = world.upload(), world.device(), world.fleet()
    deploy, nobody = world.deployments.deploy, str(uuid4())
    for targets, code, field in [
        ({}, "invalid_field", "device_id"),
        ({"device_id": device, "fleet_id": fleet}, "invalid_field", "device_id"),
        ({"device_id": nobody}, "not_found", "device_id"),
        ({"fleet_id": nobody}, "not_found", "fleet_id"),
        ({"device_id": device, "version": "9"}, "not_found", "version"),
    ]:
        error = refusal(deploy(world.operator, page.id, **targets))
        assert (error.code, error.field) == (code, field)
    assert refusal(deploy(world.operator, nobody, device_id=device)).code == "not_found"
    assert world.rung == []


def test_a_target_takes_as_much_as_a_device_can_be_sent(world):
    device, fleet = world.device(), world.fleet()
    # A newline is two bytes in JSON, so each is nearly twice as long there.
    text = PAGE_2 + "\n" * 120_000
    a, b, c = (world.upload(text, name=name) for name in "abc")
    small = world.upload(name="small")
    deploy = world.deployments.deploy
    now(deploy(world.operator, a.id, device_id=device))
    now(deploy(world.operator, b.id, device_id=device))
    error = refusal(deploy(world.operator, c.id, device_id=device))
    assert error.code == "invalid_request"
    assert "bytes" in error.detail
    assert world.rung == [(device, 1), (device, 2)]
    # Another version of what is there takes its place, and other targets have their own.
    now(deploy(world.operator, a.id, device_id=device))
    now(deploy(world.operator, c.id, fleet_id=fleet))
    now(deploy(world.operator, small.id, device_id=device))


def test_nothing_is_half_done_when_a_deployment_is_refused(world):
    page = world.upload()
    refusal(world.deployments.deploy(world.operator, page.id, device_id=str(uuid4())))
    assert now(world.deployments.of_software(world.viewer, page.id, limit=9, offset=0)) == ([], 0)


@pytest.mark.parametrize("action", ["deploy", "remove"])
def test_viewers_only_look(world, action):
    page, device = world.upload(), world.device()
    made = now(world.deployments.deploy(world.operator, page.id, device_id=device))
    if action == "deploy":
        error = refusal(world.deployments.deploy(world.viewer, page.id, device_id=device))
    else:
        error = refusal(world.deployments.remove(world.viewer, made.id))
    assert error.code == "forbidden"


def test_what_is_not_there_is_not_found(world):
    nobody = str(uuid4())
    for ask in (
        world.deployments.get(world.viewer, nobody),
        world.deployments.of_software(world.viewer, nobody, limit=9, offset=0),
        world.deployments.of_device(world.viewer, nobody),
    ):
        assert refusal(ask).code == "not_found"
