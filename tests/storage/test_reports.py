from __future__ import annotations

from datetime import timedelta

from edgetainer.storage import reports
from edgetainer.storage.reports import AHEAD, Report
from tests import rows
from tests.databases import result
from tests.rows import NOW

WEB = [{"name": "web", "exit_code": None}]
LATER = NOW + timedelta(minutes=1)


def store(database, device, **said) -> None:
    result(database.run(lambda c: reports.store(c, device, **said)))


def get(database, device) -> Report | None:
    return result(database.read(lambda c: reports.get(c, device)))


def test_what_was_said_last_is_kept(database):
    device = rows.device(database)
    assert get(database, device) is None
    store(database, device, now=NOW)
    assert get(database, device) is None
    store(database, device, containers=[], metrics={"load1": 0.5}, revision=3, now=NOW)
    store(database, device, containers=WEB, now=LATER)
    assert get(database, device) == Report(
        device_id=device,
        metrics={"load1": 0.5},
        metrics_at=NOW,
        containers=WEB,
        containers_at=LATER,
        revision=3,
    )


def test_an_older_list_of_containers_that_comes_late_is_ignored(database):
    device = rows.device(database)
    store(database, device, containers=WEB, now=LATER)
    store(database, device, containers=[], metrics={"load1": 1}, now=NOW)
    kept = get(database, device)
    assert (kept.containers, kept.containers_at) == (WEB, LATER)
    assert kept.metrics == {"load1": 1}
    store(database, device, containers=[], now=LATER)
    assert get(database, device).containers == []


def test_a_clock_that_was_ahead_for_a_while_stops_no_news(database):
    device = rows.device(database)
    store(database, device, containers=WEB, now=NOW + timedelta(days=3650))
    store(database, device, containers=[], now=NOW)
    assert get(database, device).containers_at == NOW
    store(database, device, containers=WEB, now=NOW - AHEAD)
    assert get(database, device).containers == []
