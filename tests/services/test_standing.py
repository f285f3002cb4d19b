from __future__ import annotations

from edgetainer.services.agents import Progress
from edgetainer.services.standing import device_document, reassign, settle_fleet
from edgetainer.storage import tables
from tests import rows
from tests.databases import result
from tests.services.world import identity, now


def statuses(world, device):
    return [
        (seen.deployment.id, seen.deployment.version, seen.status)
        for seen in now(world.deployments.of_device(world.viewer, device))
    ]


def report(world, device, deployment_id, revision, status, detail=None):
    said = [Progress(deployment_id, revision, status, detail)]
    return now(world.agents.report(identity(device), said, None))


def test_a_device_that_moves_gets_its_new_fleets(world):
    page, tool = world.upload(), world.upload(name="Tool")
    old, new = world.fleet(), world.fleet()
    device = world.device(fleet_id=old)
    left = now(world.deployments.deploy(world.operator, page.id, fleet_id=old))
    joined = now(world.deployments.deploy(world.operator, tool.id, fleet_id=new))
    report(world, device, left.id, 1, "failed", "no such image")

    def move(connection):
        where = tables.devices.c.id == device
        connection.execute(tables.devices.update().where(where).values(fleet_id=new))
        return reassign(connection, device, left=old, now=rows.NOW)

    assert result(world.database.run(move)) == 2
    assert statuses(world, device) == [(joined.id, "1", "pending")]
    assert now(world.deployments.get(world.viewer, left.id)).status == "pending"
    report(world, device, joined.id, 2, "deployed")
    assert now(world.deployments.get(world.viewer, joined.id)).status == "deployed"


def test_devices_that_come_and_go_count(world):
    page, fleet = world.upload(), world.fleet()
    one, two = world.device(fleet_id=fleet), world.device(fleet_id=fleet)
    made = now(world.deployments.deploy(world.operator, page.id, fleet_id=fleet))
    report(world, one, made.id, 1, "deployed")

    def whole():
        settled = result(world.database.run(lambda c: settle_fleet(c, fleet, now=rows.NOW)))
        assert settled is None
        found = now(world.deployments.get(world.viewer, made.id))
        return found.status, found.detail

    assert whole() == ("pending", "1 of 2 devices done")
    where = tables.devices.c.id == two
    result(world.database.run(lambda c: c.execute(tables.devices.delete().where(where)) and None))
    assert whole() == ("deployed", None)
    late = world.device(fleet_id=fleet)
    assert whole() == ("pending", "1 of 2 devices done")
    assert statuses(world, late) == [(made.id, "1", "pending")]
    report(world, late, made.id, 0, "deployed")
    assert whole() == ("deployed", None)


def test_a_device_sees_its_own_status_in_the_document(world):
    page, fleet = world.upload(), world.fleet()
    device = world.device(fleet_id=fleet)
    world.device(fleet_id=fleet)
    made = now(world.deployments.deploy(world.operator, page.id, fleet_id=fleet))
    report(world, device, made.id, 1, "updating", "pulling")
    (seen,) = now(world.deployments.of_device(world.viewer, device))
    shown = device_document(seen)
    assert (shown["status"], shown["detail"], shown["revision"]) == ("updating", "pulling", 1)
    assert shown["updated_at"].endswith("Z")
    assert (shown["id"], shown["fleet_id"]) == (made.id, fleet)
