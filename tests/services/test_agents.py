from __future__ import annotations

from uuid import uuid4

import pytest

from edgetainer.services.agents import MAX_DETAIL, Door, Progress
from edgetainer.storage import reports
from tests.databases import result
from tests.services.world import PAGE, PAGE_2, identity, now, refusal


@pytest.fixture
def deployed(world):
    """A device with one deployment, at revision 1."""
    device = world.device()
    made = now(world.deployments.deploy(world.operator, world.upload().id, device_id=device))
    return device, made.id


def say(world, device, deployment_id, revision, status, detail=None):
    said = [Progress(deployment_id, revision, status, detail)]
    return now(world.agents.report(identity(device), said, None))


def state(world, device):
    (seen,) = now(world.deployments.of_device(world.viewer, device))
    return seen.status, seen.state.detail if seen.state else None


def test_a_device_is_told_its_stacks(world, deployed):
    device, deployment_id = deployed
    assignment = now(world.agents.software(identity(device)))
    assert assignment.revision == 1
    (stack,) = assignment.stacks
    assert (stack.deployment_id, stack.name, stack.version) == (deployment_id, "page", "1")
    assert stack.compose == PAGE
    other = now(world.agents.software(identity(world.device())))
    assert (other.revision, other.stacks) == (0, ())


def test_the_devices_own_goes_before_its_fleets(world):
    page, fleet = world.upload(), world.fleet()
    device = world.device(fleet_id=fleet)
    now(world.deployments.deploy(world.operator, page.id, fleet_id=fleet))
    world.upload(PAGE_2)
    now(world.deployments.deploy(world.operator, page.id, device_id=device))
    (stack,) = now(world.agents.software(identity(device))).stacks
    assert (stack.version, stack.compose) == ("2", PAGE_2)


def test_a_device_is_told_its_doors_once_each(world):
    device = world.device()
    for name, port in [("b", 8080), ("a", 80), ("again", 80)]:
        now(
            world.exposures.create(
                world.operator, device, name=name, container_name="web", internal_port=port
            )
        )
    off = now(
        world.exposures.create(
            world.operator, device, name="off", container_name="db", internal_port=1, enabled=False
        )
    )
    configuration = now(world.agents.configuration(identity(device)))
    assert configuration.revision == 4
    assert configuration.heartbeat_s == 60
    assert configuration.doors == (Door("web", 80), Door("web", 8080))
    assert off.service.enabled is False


def test_a_report_changes_the_status_and_tells_who_watches(world, deployed):
    device, deployment_id = deployed
    own, all_ = world.watch(f"device:{device}"), world.watch("deployments")
    assert say(world, device, deployment_id, 1, "updating", "pulling page:1") == 1
    assert state(world, device) == ("updating", "pulling page:1")
    assert now(world.deployments.get(world.viewer, deployment_id)).status == "pending"
    say(world, device, deployment_id, 1, "deployed")
    assert state(world, device) == ("deployed", None)
    assert now(world.deployments.get(world.viewer, deployment_id)).status == "deployed"
    assert [(e.type, e.data["status"]) for e in own] == [
        ("deployment.updated", "updating"),
        ("deployment.updated", "deployed"),
    ]
    assert [e.data["status"] for e in all_] == ["pending", "deployed"]
    assert world.changed == [device, device]


def test_a_failure_is_told_with_its_reason(world, deployed):
    device, deployment_id = deployed
    say(world, device, deployment_id, 1, "failed", "page:1: no such image")
    made = now(world.deployments.get(world.viewer, deployment_id))
    assert (made.status, made.detail) == ("failed", "page:1: no such image")


def test_a_report_twice_is_told_once(world, deployed):
    device, deployment_id = deployed
    own = world.watch(f"device:{device}")
    for _ in range(3):
        say(world, device, deployment_id, 1, "deployed")
    assert len(own) == 1
    assert world.changed == [device]


def test_lower_revisions_are_ignored(world, deployed):
    device, deployment_id = deployed
    now(
        world.exposures.create(
            world.operator, device, name="a", container_name="web", internal_port=80
        )
    )
    say(world, device, deployment_id, 2, "deployed")
    assert say(world, device, deployment_id, 1, "failed", "late") == 2
    assert state(world, device) == ("deployed", None)


def test_a_revision_that_is_not_there_yet_is_ignored(world, deployed):
    device, deployment_id = deployed
    assert say(world, device, deployment_id, 2**40, "deployed") == 1
    assert state(world, device) == ("pending", None)


def test_a_device_speaks_for_its_own_deployments_only(world, deployed):
    device, deployment_id = deployed
    other = world.device()
    assert say(world, other, deployment_id, 0, "failed", "not mine") == 0
    assert say(world, other, str(uuid4()), 0, "failed") == 0
    assert state(world, device) == ("pending", None)
    assert world.changed == []


def test_a_fleet_is_deployed_when_the_last_device_is(world):
    fleet = world.fleet()
    members = [world.device(fleet_id=fleet) for _ in range(3)]
    made = now(world.deployments.deploy(world.operator, world.upload().id, fleet_id=fleet))

    def whole():
        found = now(world.deployments.get(world.viewer, made.id))
        return found.status, found.detail

    say(world, members[0], made.id, 1, "deployed")
    assert whole() == ("pending", "1 of 3 devices done")
    say(world, members[1], made.id, 1, "failed", "disk full")
    assert whole() == ("failed", "1 of 3 devices failed: disk full")
    say(world, members[1], made.id, 1, "deployed")
    say(world, members[2], made.id, 1, "deployed")
    assert whole() == ("deployed", None)


def test_containers_are_kept_and_told(world):
    device = world.device()
    seen = world.watch(f"device:{device}")
    containers = [{"id": "1", "name": "page-web-1", "state": "running"}]
    assert now(world.agents.report(identity(device), [], containers)) == 0
    kept = result(world.database.read(lambda c: reports.get(c, device)))
    assert kept.containers == containers
    assert [(e.type, e.data) for e in seen] == [("containers.updated", {"total": 1})]
    assert world.changed == []
    # A report that says nothing of containers leaves them alone; an empty list does not.
    now(world.agents.report(identity(device), [], None))
    assert result(world.database.read(lambda c: reports.get(c, device))).containers == containers
    now(world.agents.report(identity(device), [], []))
    assert result(world.database.read(lambda c: reports.get(c, device))).containers == []


def test_a_long_explanation_is_cut(world, deployed):
    device, deployment_id = deployed
    say(world, device, deployment_id, 1, "failed", "x" * (MAX_DETAIL + 1))
    assert state(world, device) == ("failed", "x" * MAX_DETAIL)


def test_a_device_that_was_deleted_is_told_so(world):
    gone = identity(str(uuid4()))
    for ask in (
        world.agents.software(gone),
        world.agents.configuration(gone),
        world.agents.report(gone, [], []),
    ):
        assert refusal(ask).code == "not_found"


def test_people_are_no_devices(world):
    assert refusal(world.agents.software(world.admin)).code == "forbidden"
