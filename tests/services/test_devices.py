from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from edgetainer.storage import keys, revisions
from edgetainer.storage.keys import DeviceKey
from tests.databases import result
from tests.services.home import START, now, refusal


def _get(home, id_):
    return now(home.devices.get(home.viewer, id_))


def test_an_expected_device(home):
    seen = home.watch("devices")
    id_ = home.device("Büro 3")
    device = _get(home, id_)
    assert (device.device_id, device.subdomain, device.status) == ("Büro 3", "buro-3", "pending")
    document = home.devices.document(device)
    assert document["url"] == "https://buro-3.apps.example.com:8443/"
    assert document["created_at"] == "2026-11-23T12:00:00Z"
    assert [(event.type, event.data) for event in seen] == [("device.updated", document)]


def test_two_of_one_name_get_two_addresses(home):
    first = home.device("kiosk")
    second = now(home.devices.create(home.admin, device_id="other", name="kiosk", fleet_id=None))
    assert _get(home, first).subdomain == "kiosk"
    assert second.subdomain.startswith("kiosk-")
    error = refusal(home.devices.create(home.admin, device_id="kiosk", name="x", fleet_id=None))
    assert (error.code, error.field) == ("already_exists", "device_id")


def test_edited(home):
    id_ = home.device()
    other = home.device("other")
    changed = now(
        home.devices.update(home.operator, id_, {"name": "Till 3", "subdomain": "till-3"})
    )
    assert (changed.name, changed.subdomain) == ("Till 3", "till-3")
    hidden = now(home.devices.update(home.operator, id_, {"subdomain_enabled": False}))
    assert home.devices.document(hidden)["url"] is None
    error = refusal(home.devices.update(home.operator, other, {"subdomain": "till-3"}))
    assert (error.code, error.field) == ("already_exists", "subdomain")


@pytest.mark.parametrize("subdomain", ["www", "a--b", "A", "-a", "x" * 32])
def test_subdomains_that_cannot_be(home, subdomain):
    error = refusal(home.devices.update(home.admin, home.device(), {"subdomain": subdomain}))
    assert (error.code, error.field) == ("invalid_field", "subdomain")


def test_moved(home):
    fleet = now(home.fleets.create(home.admin, name="f", description=None))
    id_ = home.device()
    moved = now(home.devices.move(home.operator, id_, fleet.id))
    assert (moved.fleet_id, moved.fleet_name) == (fleet.id, "f")
    assert result(home.database.read(lambda c: revisions.of(c, id_))) == 1
    now(home.devices.move(home.operator, id_, fleet.id))
    assert result(home.database.read(lambda c: revisions.of(c, id_))) == 1
    assert now(home.devices.move(home.operator, id_, None)).fleet_id is None
    error = refusal(home.devices.move(home.operator, id_, str(uuid4())))
    assert (error.code, error.field) == ("invalid_field", "fleet_id")
    assert _get(home, id_).fleet_id is None


def test_listed(home):
    fleet = now(home.fleets.create(home.admin, name="f", description=None))
    ids = [home.device(f"d{n}", fleet.id if n else None) for n in range(3)]
    found, total = now(
        home.devices.page(home.viewer, limit=1, offset=0, fleet_id=fleet.id, status="pending")
    )
    assert ([device.id for device in found], total) == ([ids[1]], 2)


def test_the_status_of_the_moment(home):
    id_ = home.device()
    status = now(home.devices.live_status(home.viewer, id_))
    assert (status.online, status.last_seen, status.connected_s) == (False, None, None)
    line = home.connect(id_)
    home.clock.advance(8)
    status = now(home.devices.live_status(home.viewer, id_))
    assert (status.online, status.connected_s, status.ip_address) == (True, 8, "198.51.100.7")
    assert status.last_seen == START
    line.last_received = home.clock.seconds()
    status = now(home.devices.live_status(home.viewer, id_))
    assert status.last_seen == START + timedelta(seconds=8)


def test_deleted_devices_are_out_at_once(home):
    id_ = home.device()
    key = DeviceKey(str(uuid4()), id_, "ff" * 32, "pem", START, START, None)
    result(home.database.run(lambda c: keys.add(c, key)))
    now(home.identities.accept("ff" * 32, id_))
    assert home.identities.device_for("ff" * 32) == id_
    line = home.connect(id_)
    seen = home.watch("devices")
    now(home.devices.remove(home.admin, id_))
    assert line.closed_with == "certificate_refused"
    assert home.identities.device_for("ff" * 32) is None
    assert [(event.type, event.data) for event in seen] == [("device.deleted", {"id": id_})]
    assert refusal(home.devices.get(home.admin, id_)).code == "not_found"


def test_what_only_some_may(home):
    id_ = home.device()
    for who in (home.operator, home.viewer):
        create = home.devices.create(who, device_id="x", name="x", fleet_id=None)
        assert refusal(create).code == "forbidden"
        assert refusal(home.devices.remove(who, id_)).code == "forbidden"
        assert refusal(home.devices.revoke(who, id_)).code == "forbidden"
    assert refusal(home.devices.update(home.viewer, id_, {"name": "x"})).code == "forbidden"
    assert refusal(home.devices.move(home.viewer, id_, None)).code == "forbidden"


def test_none(home):
    nothing = str(uuid4())
    for attempt in (
        home.devices.get(home.admin, nothing),
        home.devices.update(home.admin, nothing, {"name": "x"}),
        home.devices.move(home.admin, nothing, None),
        home.devices.revoke(home.admin, nothing),
        home.devices.remove(home.admin, nothing),
        home.devices.live_status(home.admin, nothing),
    ):
        assert refusal(attempt).code == "not_found"
