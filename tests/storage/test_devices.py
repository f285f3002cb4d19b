from __future__ import annotations

import datetime
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from edgetainer.storage import devices, fleets, tables
from edgetainer.storage.database import violated
from tests.databases import result

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(hours=1)


def _fleet(database, name):
    id_ = str(uuid4())
    result(database.run(lambda c: fleets.add(c, id=id_, name=name, description="x", now=NOW)))
    return id_


def _device(database, name, fleet_id=None, **values):
    id_ = str(uuid4())
    values = {"subdomain": name, "device_id": name, **values}
    result(
        database.run(
            lambda c: devices.add(c, id=id_, name=name, fleet_id=fleet_id, now=NOW, **values)
        )
    )
    return id_


def _get(database, id_):
    return result(database.read(lambda c: devices.get(c, id_)))


def test_a_new_device(database):
    fleet = _fleet(database, "kiosks")
    id_ = _device(database, "d1", fleet, hardware_info={"cpu": 4})
    found = _get(database, id_)
    assert (found.id, found.fleet_id, found.fleet_name) == (id_, fleet, "kiosks")
    assert (found.status, found.last_seen, found.metrics) == ("pending", None, None)
    assert found.hardware_info == {"cpu": 4}
    assert _get(database, str(uuid4())) is None


@pytest.mark.parametrize("column", ["device_id", "subdomain"])
def test_unique(database, column):
    _device(database, "d1")
    with pytest.raises(IntegrityError) as caught:
        _device(database, "d2", **{column: "d1"})
    assert violated(caught.value) == f"devices.{column}"
    assert result(database.read(lambda c: devices.subdomain_taken(c, "d1")))
    assert not result(database.read(lambda c: devices.device_id_taken(c, "d2")))


def test_pages_and_filters(database):
    fleet = _fleet(database, "f")
    ids = [_device(database, f"d{n}", fleet if n % 2 else None) for n in range(4)]
    result(database.run(lambda c: devices.observe(c, ids[3], status="online", last_seen=LATER)))

    def page(**wanted):
        found, total = result(database.read(lambda c: devices.page(c, **wanted)))
        return [device.name for device in found], total

    assert page(limit=2, offset=1) == (["d1", "d2"], 4)
    assert page(limit=9, offset=0, fleet_id=fleet) == (["d1", "d3"], 2)
    assert page(limit=9, offset=0, fleet_id=fleet, status="online") == (["d3"], 1)
    assert result(database.read(devices.not_offline)) == [ids[3]]
    many = result(database.read(lambda c: devices.get_many(c, [ids[0], str(uuid4())])))
    assert [device.id for device in many] == [ids[0]]


def test_editing_and_observing(database):
    id_ = _device(database, "d1")
    result(database.run(lambda c: devices.observe(c, id_, os_version="Flatcar")))
    found = _get(database, id_)
    assert (found.os_version, found.updated_at) == ("Flatcar", NOW)
    result(database.run(lambda c: devices.change(c, id_, now=LATER, name="other")))
    found = _get(database, id_)
    assert (found.name, found.updated_at) == ("other", LATER)
    with pytest.raises(IntegrityError) as caught:
        result(database.run(lambda c: devices.change(c, id_, now=LATER, fleet_id=str(uuid4()))))
    assert violated(caught.value) is None


def test_a_fleet_with_devices_stays(database):
    fleet = _fleet(database, "f")
    id_ = _device(database, "d1", fleet)
    assert result(database.read(lambda c: fleets.get(c, fleet))).device_count == 1
    with pytest.raises(IntegrityError):
        result(database.run(lambda c: fleets.remove(c, fleet)))
    assert result(database.run(lambda c: devices.remove(c, id_))) is True
    assert result(database.run(lambda c: fleets.remove(c, fleet))) is True
    assert result(database.run(lambda c: fleets.remove(c, fleet))) is False


def test_fleets(database):
    b, a = _fleet(database, "b"), _fleet(database, "a")
    page, total = result(database.read(lambda c: fleets.page(c, limit=9, offset=0)))
    assert ([fleet.id for fleet in page], total) == ([a, b], 2)
    result(database.run(lambda c: fleets.change(c, b, now=LATER, name="c", description=None)))
    found = result(database.read(lambda c: fleets.get(c, b)))
    assert (found.name, found.description, found.updated_at) == ("c", None, LATER)
    with pytest.raises(IntegrityError) as caught:
        _fleet(database, "c")
    assert violated(caught.value) == "fleets.name"


def test_what_devices_said_of_deployments(database):
    device = _device(database, "d1")
    other = _device(database, "d2")

    def fill(connection):
        software, release = str(uuid4()), str(uuid4())
        common = {"created_at": NOW, "updated_at": NOW}
        connection.execute(
            sa.insert(tables.software).values(
                id=software, name="s", slug="s", source="manual", **common
            )
        )
        connection.execute(
            sa.insert(tables.releases).values(
                id=release, software_id=software, version="1", docker_compose_yaml="",
                created_at=NOW,
            )
        )  # fmt: skip
        deployment = str(uuid4())
        connection.execute(
            sa.insert(tables.deployments).values(
                id=deployment, software_id=software, release_id=release, device_id=device,
                version="1", status="pending", **common,
            )
        )  # fmt: skip
        connection.execute(
            sa.insert(tables.deployment_states).values(
                deployment_id=deployment, device_id=device, revision=1, status="failed",
                updated_at=NOW,
            )
        )  # fmt: skip

    result(database.run(fill))
    found = result(database.read(lambda c: devices.deployment_states_of(c, [device, other])))
    assert found == {device: {"failed"}}
