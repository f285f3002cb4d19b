"""Who is here, from tunnels and heartbeats; written together, told afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest
from twisted.internet.defer import Deferred

from edgetainer.errors import EdgetainerError
from edgetainer.services import presence as module
from edgetainer.services.deployments import Deployments
from edgetainer.services.software import Catalogue
from edgetainer.storage import deployment_states, reports
from edgetainer.storage.deployment_states import State
from tests.databases import result
from tests.services.home import START, now
from tests.services.world import PAGE

METRICS = {"cpu_percent": 12.5, "memory_used": 1, "memory_total": 2}


@pytest.fixture
def watched(home):
    now(home.presence.start())
    yield home
    now(home.presence.stop())


def _get(home, id_):
    return now(home.devices.get(home.viewer, id_))


def _tick(home):
    home.clock.advance(module.FLUSH_S)


def test_a_tunnel_comes_and_goes(watched):
    home = watched
    id_ = home.device()
    seen, mine = home.watch("devices"), home.watch(f"device:{id_}")
    line = home.connect(id_)
    assert seen == []
    _tick(home)
    device = _get(home, id_)
    assert (device.status, device.ip_address) == ("online", "198.51.100.7")
    assert device.last_seen == START
    home.clock.advance(3)
    line.drop()
    _tick(home)
    device = _get(home, id_)
    assert device.status == "offline"
    assert device.last_seen == START + timedelta(seconds=4)
    assert [event.data["status"] for event in seen] == ["online", "offline"]
    assert [event.type for event in mine] == ["device.updated"] * 2
    assert seen[-1].data == home.devices.document(device)


def test_gone_and_back_within_a_moment_is_one_write(watched):
    home = watched
    id_ = home.device()
    home.connect(id_).drop()
    home.connect(id_)
    seen = home.watch("devices")
    _tick(home)
    assert [event.data["status"] for event in seen] == ["online"]


def test_silence_is_seen_within_fifteen_seconds(watched):
    home = watched
    id_ = home.device()
    line = home.connect(id_)
    line.ping = _never
    seen = home.watch("devices")
    for _ in range(60):
        home.clock.advance(0.25)
    assert seen[-1].data["status"] == "offline"


def _never():
    return Deferred()


def test_heartbeats_are_written_together(watched, monkeypatch):
    home = watched
    ids = [home.device(f"d{n:02}") for n in range(20)]
    for id_ in ids:
        home.connect(id_)
    _tick(home)
    writes = []
    original = home.database.run
    monkeypatch.setattr(home.database, "run", lambda fn: writes.append(fn) or original(fn))
    for id_ in ids:
        for percent in (1.0, 2.0):
            home.presence.heartbeat(
                home.identity(id_), address="203.0.113.9", metrics={"cpu_percent": percent}
            )
    home.presence.heartbeat(
        home.identity(ids[0]),
        address="",
        os_version="Flatcar",
        agent_version="1.2",
        hardware_info={"cpus": 2},
        containers=[{"name": "web"}],
        revision=7,
    )
    assert writes == []
    _tick(home)
    assert len(writes) == 1
    device = _get(home, ids[0])
    assert device.metrics == {"cpu_percent": 2.0}
    assert (device.os_version, device.agent_version) == ("Flatcar", "1.2")
    assert (device.hardware_info, device.ip_address) == ({"cpus": 2}, "203.0.113.9")
    assert device.updated_at == START
    report = result(home.database.read(lambda c: reports.get(c, ids[0])))
    assert (report.containers, report.revision) == ([{"name": "web"}], 7)
    _tick(home)
    assert len(writes) == 1


def test_no_more_than_a_batch_at_once(watched, monkeypatch):
    home = watched
    monkeypatch.setattr(module, "BATCH", 2)
    ids = [home.device(f"d{n}") for n in range(3)]
    for id_ in ids:
        home.connect(id_)
    _tick(home)
    assert sorted(_get(home, id_).status for id_ in ids) == ["online", "online", "pending"]
    _tick(home)
    assert {_get(home, id_).status for id_ in ids} == {"online"}


def test_who_watches_a_device_is_told_of_its_containers(watched):
    home = watched
    id_ = home.device()
    mine = home.watch(f"device:{id_}")
    home.presence.heartbeat(home.identity(id_), address="", containers=[{"name": "web"}])
    assert mine == []
    _tick(home)
    assert [event.type for event in mine] == ["device.updated", "containers.updated"]
    assert mine[-1].data == {"total": 1}
    home.presence.heartbeat(home.identity(id_), address="")
    _tick(home)
    assert [event.type for event in mine[2:]] == ["device.updated"]


def test_a_heartbeat_without_a_tunnel_does_not_make_it_online(watched):
    home = watched
    id_ = home.device()
    home.presence.heartbeat(home.identity(id_), address="", metrics=METRICS)
    _tick(home)
    device = _get(home, id_)
    assert (device.status, device.last_seen) == ("offline", START)


def test_deployments_show_in_the_status(watched):
    home = watched
    id_ = home.device()
    home.connect(id_)
    _tick(home)
    catalogue = Catalogue(database=home.database, now=home.now)
    deployments = Deployments(
        database=home.database, bell=home.switchboard, events=home.events, now=home.now
    )
    page = now(catalogue.upload(home.admin, name="Page", text=PAGE, version=None))
    deployment = now(deployments.deploy(home.admin, page.id, device_id=id_)).id

    def say(status):
        state = State(deployment, id_, 1, status, None, home.now())
        result(home.database.run(lambda c: deployment_states.record(c, state)))
        home.presence.refresh(id_)
        _tick(home)
        return _get(home, id_).status

    assert [say(s) for s in ("updating", "failed", "deployed")] == ["updating", "error", "online"]


def test_a_database_that_is_away_loses_nothing(watched, monkeypatch):
    home = watched
    id_ = home.device()
    home.connect(id_)
    original = home.database.run

    def away(fn):
        raise EdgetainerError("unavailable")

    monkeypatch.setattr(home.database, "run", away)
    home.presence.heartbeat(home.identity(id_), address="", metrics={"cpu_percent": 1.0})
    _tick(home)
    home.presence.heartbeat(home.identity(id_), address="", os_version="Flatcar")
    _tick(home)
    monkeypatch.setattr(home.database, "run", original)
    assert _get(home, id_).status == "pending"
    _tick(home)
    device = _get(home, id_)
    assert (device.status, device.os_version) == ("online", "Flatcar")
    assert device.metrics == {"cpu_percent": 1.0}


def test_what_cannot_be_written_of_one_device_does_not_silence_the_others(watched):
    home = watched
    bad, good = home.device("bad"), home.device("good")
    for id_ in (bad, good):
        home.connect(id_)
    # No database takes a set; what a parser lets through by mistake is like it.
    home.presence.heartbeat(home.identity(bad), address="", metrics={"load1": {1}})
    home.presence.heartbeat(home.identity(good), address="", metrics=METRICS)
    _tick(home)
    assert (_get(home, good).status, _get(home, good).metrics) == ("online", METRICS)
    assert home.presence._pending == {}
    home.presence.heartbeat(home.identity(bad), address="", metrics=METRICS)
    _tick(home)
    assert _get(home, bad).status == "online"


def test_a_device_deleted_meanwhile_is_passed_over(watched):
    home = watched
    gone, here = home.device("gone"), home.device("here")
    for id_ in (gone, here):
        home.connect(id_)
        home.presence.heartbeat(home.identity(id_), address="", metrics=METRICS)
    now(home.devices.remove(home.admin, gone))
    _tick(home)
    assert _get(home, here).status == "online"
    assert home.presence._pending == {}


def test_after_a_restart_nobody_is_here(home):
    id_ = home.device()
    now(home.presence.start())
    line = home.connect(id_)
    _tick(home)
    now(home.presence.stop())
    # Killed: nobody wrote that it left.
    line.drop()
    assert _get(home, id_).status == "online"
    now(home.presence.start())
    _tick(home)
    assert _get(home, id_).status == "offline"
    now(home.presence.stop())


def test_stopping_writes_what_is_left(home):
    id_ = home.device()
    now(home.presence.start())
    home.connect(id_)
    home.presence.heartbeat(home.identity(id_), address="", metrics=METRICS)
    now(home.presence.stop())
    assert _get(home, id_).metrics == METRICS
    assert home.switchboard.on_change == []
