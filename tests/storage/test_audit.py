from __future__ import annotations

import datetime

from edgetainer.domain.access import SYSTEM, DeviceIdentity, Principal, Role
from edgetainer.storage import audit
from tests.databases import result

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


def test_who_did_what_in_order(database):
    ada = Principal("u-1", "ada", Role.ADMIN, "s-1")
    device = DeviceIdentity("d-1", "ff")

    def write(connection):
        for who in (ada, device, SYSTEM, None):
            audit.append(
                connection,
                who,
                "devices.delete",
                now=NOW,
                target=("device", "d-9"),
                detail={"n": 1},
                address="192.0.2.1",
            )

    result(database.run(write))
    found = result(database.read(lambda c: audit.latest(c, limit=9)))
    assert [(e.actor_kind, e.actor_id, e.actor_name) for e in found][::-1] == [
        ("user", "u-1", "ada"),
        ("device", "d-1", None),
        ("system", None, "system"),
        ("nobody", None, None),
    ]
    assert (found[0].at, found[0].target_id, found[0].detail) == (NOW, "d-9", {"n": 1})
    assert found[0].id > found[-1].id
    assert len(result(database.read(lambda c: audit.latest(c, limit=2)))) == 2
