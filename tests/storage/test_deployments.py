from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError

from edgetainer.domain.desired import effective
from edgetainer.storage import deployments, software
from tests import rows
from tests.databases import result
from tests.rows import NOW
from tests.storage.test_software import add, release


def place(database, made, *, fleet_id=None, device_id=None, now=NOW, pinned=False) -> str:
    return result(
        database.run(
            lambda c: deployments.place(
                c,
                made,
                id=str(uuid4()),
                fleet_id=fleet_id,
                device_id=device_id,
                pinned=pinned,
                now=now,
            )
        )
    )


def test_a_deployment_tells_what_is_wanted_where(database):
    page = add(database, "page")
    one = release(database, page, "1")
    device = rows.device(database)
    id_ = place(database, one, device_id=device, pinned=True)
    found = result(database.run(lambda c: deployments.get(c, id_, lock=True)))
    assert found == deployments.Deployment(
        id=id_,
        software_id=page,
        software_name="page",
        fleet_id=None,
        device_id=device,
        version="1",
        pinned=True,
        status="pending",
        detail=None,
        created_at=NOW,
        updated_at=NOW,
    )
    its = result(database.read(lambda c: deployments.of_software(c, page, limit=1, offset=0)))
    assert its == ([found], 1)
    its = result(database.read(lambda c: deployments.of_software(c, page, limit=1, offset=1)))
    assert its == ([], 1)
    assert result(database.read(lambda c: deployments.get(c, str(uuid4())))) is None


def test_deploying_again_changes_the_deployment_that_is_there(database):
    page = add(database, "page")
    one, two = release(database, page, "1"), release(database, page, "2")
    fleet = rows.fleet(database)
    first = place(database, one, fleet_id=fleet)
    result(
        database.run(
            lambda c: deployments.set_status(c, first, status="failed", detail="no", now=NOW)
        )
    )
    later = NOW + timedelta(minutes=1)
    assert place(database, two, fleet_id=fleet, now=later) == first
    found = result(database.read(lambda c: deployments.get(c, first)))
    assert (found.version, found.status, found.detail) == ("2", "pending", None)
    assert (found.created_at, found.updated_at) == (NOW, later)


def test_a_device_sees_its_own_and_its_fleets(database):
    page, tool = add(database, "page"), add(database, "tool")
    old, new, other = (
        release(database, page, "1"),
        release(database, page, "2"),
        release(database, tool, "1"),
    )
    fleet, foreign = rows.fleet(database), rows.fleet(database)
    device, single = rows.device(database, fleet_id=fleet), rows.device(database)
    of_fleet = place(database, old, fleet_id=fleet)
    of_device = place(database, new, device_id=device)
    of_tool = place(database, other, fleet_id=fleet)
    place(database, other, fleet_id=foreign)

    listed = result(database.read(lambda c: deployments.of_device(c, device)))
    assert {d.id for d in listed} == {of_fleet, of_device, of_tool}
    stacks = effective(result(database.read(lambda c: deployments.wanted(c, device))))
    assert [(s.deployment_id, s.name, s.version, s.compose) for s in stacks] == [
        (of_device, "page", "2", new.compose),
        (of_tool, "tool", "1", other.compose),
    ]
    assert result(database.read(lambda c: deployments.wanted(c, single))) == []


def test_software_in_use_stays(database):
    page = add(database, "page")
    id_ = place(database, release(database, page, "1"), fleet_id=rows.fleet(database))
    assert result(database.read(lambda c: software.uses(c, page))) == 1
    with pytest.raises(IntegrityError):
        result(database.run(lambda c: software.remove(c, page)))
    assert result(database.run(lambda c: deployments.remove(c, id_))) is True
    assert result(database.run(lambda c: deployments.remove(c, id_))) is False
    assert result(database.run(lambda c: software.remove(c, page))) is True


def test_a_target_that_is_not_there_is_refused(database):
    made = release(database, add(database, "page"), "1")
    with pytest.raises(IntegrityError):
        place(database, made, device_id=str(uuid4()))
