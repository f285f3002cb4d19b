from __future__ import annotations

from uuid import uuid4

import pytest

from tests.services.home import now, refusal


def _create(home, name="kiosks", who=None):
    return home.fleets.create(who or home.admin, name=name, description=None)


def test_created_changed_listed_deleted(home):
    fleet = now(_create(home))
    assert (fleet.name, fleet.device_count) == ("kiosks", 0)
    changed = now(home.fleets.update(home.admin, fleet.id, {"description": "in shops"}))
    assert (changed.name, changed.description) == ("kiosks", "in shops")
    assert now(home.fleets.page(home.viewer, limit=9, offset=0)) == ([changed], 1)
    now(home.fleets.remove(home.admin, fleet.id))
    assert refusal(home.fleets.get(home.admin, fleet.id)).code == "not_found"
    assert home.audited()[-3:] == ["fleets.create", "fleets.update", "fleets.delete"]


def test_names_are_unique(home):
    now(_create(home))
    other = now(_create(home, "other"))
    for attempt in (
        _create(home),
        home.fleets.update(home.admin, other.id, {"name": "kiosks"}),
    ):
        error = refusal(attempt)
        assert (error.code, error.field) == ("already_exists", "name")


@pytest.mark.parametrize("count", [1, 2])
def test_a_fleet_with_devices_stays(home, count):
    fleet = now(_create(home))
    for n in range(count):
        home.device(f"d{n}", fleet.id)
    error = refusal(home.fleets.remove(home.admin, fleet.id))
    assert error.code == "in_use"
    assert ("a device" if count == 1 else "2 devices") in error.detail


def test_only_admins_write(home):
    fleet = now(_create(home))
    for who in (home.operator, home.viewer):
        assert refusal(_create(home, "x", who)).code == "forbidden"
        assert refusal(home.fleets.update(who, fleet.id, {"name": "x"})).code == "forbidden"
        assert refusal(home.fleets.remove(who, fleet.id)).code == "forbidden"
        assert now(home.fleets.get(who, fleet.id)) == fleet


def test_none(home):
    nothing = str(uuid4())
    assert refusal(home.fleets.update(home.admin, nothing, {"name": "x"})).code == "not_found"
    assert refusal(home.fleets.remove(home.admin, nothing)).code == "not_found"
