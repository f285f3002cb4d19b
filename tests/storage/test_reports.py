from __future__ import annotations

from datetime import timedelta

from edgetainer.storage import reports
from edgetainer.storage.reports import Report
from tests import rows
from tests.databases import result
from tests.rows import NOW


def test_the_last_list_of_containers_is_kept(database):
    device = rows.device(database)
    assert result(database.read(lambda c: reports.get(c, device))) is None
    store = reports.store_containers
    later = NOW + timedelta(minutes=1)
    result(database.run(lambda c: store(c, device, [], now=NOW)))
    result(
        database.run(lambda c: store(c, device, [{"name": "web", "exit_code": None}], now=later))
    )
    assert result(database.read(lambda c: reports.get(c, device))) == Report(
        device_id=device,
        metrics=None,
        metrics_at=None,
        containers=[{"name": "web", "exit_code": None}],
        containers_at=later,
        revision=None,
    )
