from __future__ import annotations

from uuid import uuid4

import pytest

from edgetainer.services.containers import Containers, Listing
from tests.services.world import identity, now, refusal


@pytest.fixture
def containers(world):
    return Containers(database=world.database)


def test_the_last_list_and_its_time(world, containers):
    device = world.device()
    assert now(containers.of_device(world.viewer, device)) == Listing((), None)
    told = [{"id": "1", "name": "page-web-1", "exit_code": None}]
    now(world.agents.report(identity(device), [], told))
    found = now(containers.of_device(world.viewer, device))
    assert found.items == tuple(told)
    assert found.reported_at.timestamp() == world.clock.seconds()


def test_an_unknown_device_is_not_found(world, containers):
    assert refusal(containers.of_device(world.viewer, str(uuid4()))).code == "not_found"
