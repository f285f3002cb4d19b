from __future__ import annotations

from uuid import uuid4

from edgetainer.storage import revisions
from tests import rows
from tests.databases import result


def test_raising_touches_the_device_or_the_whole_fleet_and_nobody_else(database):
    fleet = rows.fleet(database)
    one, two = rows.device(database, fleet_id=fleet), rows.device(database, fleet_id=fleet)
    other = rows.device(database)
    assert result(database.run(lambda c: revisions.raise_device(c, one))) == {one: 1}
    assert result(database.run(lambda c: revisions.raise_fleet(c, fleet))) == {one: 2, two: 1}
    seen = [
        result(database.read(lambda c, device=device: revisions.of(c, device)))
        for device in (one, two, other)
    ]
    assert seen == [2, 1, 0]


def test_nobody_has_no_revision(database):
    nobody = str(uuid4())
    assert result(database.run(lambda c: revisions.raise_device(c, nobody))) == {}
    assert result(database.read(lambda c: revisions.of(c, nobody))) is None
