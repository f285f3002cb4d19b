"""Many at once, on real threads: what must hold when transactions overlap."""

from __future__ import annotations

import random

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, DeferredList

from edgetainer.services.agents import Progress
from edgetainer.storage.database import Database
from tests.services.world import PAGE, World, identity

SEED = 20260101


@pytest.fixture
def world(threaded_database):
    """Services that work on threads, as in production; the setting is made without."""
    url = threaded_database.url.render_as_string(hide_password=False)
    quick = Database(url, reactor=None)
    setting = World(quick)
    for service in (setting.agents, setting.deployments, setting.exposures, setting.catalogue):
        service._database = threaded_database
    yield setting
    quick.close()


async def together(coroutines) -> list:
    """Run all at once; what each came to. The first failure is raised."""
    started = [Deferred.fromCoroutine(coroutine) for coroutine in coroutines]
    return [value for _, value in await DeferredList(started, fireOnOneErrback=True)]


async def deployed_fleet(world, size):
    fleet = world.fleet()
    devices = [world.device(fleet_id=fleet) for _ in range(size)]
    software = await world.catalogue.upload(world.admin, name="Page", text=PAGE)
    made = await world.deployments.deploy(world.operator, software.id, fleet_id=fleet)
    return software, made, devices


def said(world, device, deployment, revision, status):
    progress = [Progress(deployment.id, revision, status, None)]
    return world.agents.report(identity(device), progress, [])


@pytest_twisted.ensureDeferred
async def test_a_fleet_whose_devices_all_report_at_once_is_deployed(world):
    _, made, devices = await deployed_fleet(world, 12)
    await together(said(world, device, made, 1, "deployed") for device in devices)
    found = await world.deployments.get(world.viewer, made.id)
    assert (found.status, found.detail) == ("deployed", None)


@pytest_twisted.ensureDeferred
async def test_reports_in_any_order_end_at_the_newest(world):
    _, made, devices = await deployed_fleet(world, 1)
    for _ in range(5):
        await world.deployments.deploy(
            world.operator, made.software_id, fleet_id=made.fleet_id, version="1"
        )
    reports = [("updating", n) for n in range(1, 7)] + [("deployed", 6)]
    # The last two are of one revision: those come in their order on one connection.
    first, last = reports[:-2], reports[-2:]
    random.Random(SEED).shuffle(first)
    await together(said(world, devices[0], made, n, status) for status, n in first)
    for status, n in last:
        await said(world, devices[0], made, n, status)
    await together(said(world, devices[0], made, n, "failed") for n in range(1, 6))
    (seen,) = await world.deployments.of_device(world.viewer, devices[0])
    assert (seen.status, seen.state.revision) == ("deployed", 6)


@pytest_twisted.ensureDeferred
async def test_deploying_reporting_and_exposing_at_once_loses_nothing(world):
    software, made, devices = await deployed_fleet(world, 6)
    work = []
    for device in devices:
        work.append(said(world, device, made, 1, "deployed"))
        work.append(
            world.exposures.create(
                world.operator, device, name="web", container_name="page", internal_port=80
            )
        )
    for device in devices[:3]:
        work.append(world.deployments.deploy(world.operator, software.id, device_id=device))
        work.append(world.deployments.deploy(world.operator, software.id, fleet_id=made.fleet_id))
    random.Random(SEED).shuffle(work)
    await together(work)
    for number, device in enumerate(devices):
        assignment = await world.agents.software(identity(device))
        # Raised by each deployment to the fleet (4), the exposure, and its own.
        assert assignment.revision == 4 + 1 + (number < 3)
        (stack,) = assignment.stacks
        assert stack.for_device == (number < 3)
        await said(world, device, made, assignment.revision, "deployed")
    found = await world.deployments.get(world.viewer, made.id)
    assert found.status == "deployed"
    assert len(await world.exposures.of_device(world.viewer, devices[0])) == 1


@pytest_twisted.ensureDeferred
async def test_one_name_uploaded_by_many_at_once_is_one_software(world):
    texts = [PAGE.replace("page:1", f"page:{n}") for n in range(6)]
    uploads = [
        Deferred.fromCoroutine(world.catalogue.upload(world.admin, name="Page", text=text))
        for text in texts
    ]
    outcomes = await DeferredList(uploads, consumeErrors=True)
    made = [value for done, value in outcomes if done]
    refused = [failure.value.code for done, failure in outcomes if not done]
    assert made
    assert set(refused) <= {"already_exists"}
    found, total = await world.catalogue.page(world.viewer, limit=10, offset=0)
    assert total == 1
    assert len(found[0].versions) == len(made)
