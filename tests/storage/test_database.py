"""One transaction at a time, the same on both databases."""

from __future__ import annotations

import datetime
import stat
import threading
from uuid import uuid4

import pytest
import pytest_twisted
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from edgetainer.errors import EdgetainerError
from edgetainer.storage import database as module
from edgetainer.storage import tables
from edgetainer.storage.database import Database, violated
from tests.databases import opened, result

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)


def _fleet(name="f", **values):
    return {"id": str(uuid4()), "name": name, "created_at": NOW, "updated_at": NOW, **values}


def _add(**values):
    return lambda c: c.execute(sa.insert(tables.fleets).values(**_fleet(**values))) and None


def _count(connection):
    return connection.scalar(sa.select(sa.func.count()).select_from(tables.fleets))


def test_values_come_back_as_they_went_in(database):
    row = _fleet()
    device = {
        "id": str(uuid4()), "device_id": "d", "name": "d", "fleet_id": row["id"],
        "status": "pending", "last_seen": NOW.astimezone(
            datetime.timezone(datetime.timedelta(hours=5))
        ),
        "hardware_info": {"cpu": ["a", 1, None, 1.5], "é": "\U0001f600"},
        "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    result(database.run(lambda c: c.execute(sa.insert(tables.fleets).values(**row)) and None))
    result(database.run(lambda c: c.execute(sa.insert(tables.devices).values(**device)) and None))
    found = result(
        database.read(lambda c: dict(c.execute(sa.select(tables.devices)).mappings().one()))
    )
    assert found["id"] == device["id"]
    assert found["fleet_id"] == row["id"]
    assert found["last_seen"] == NOW
    assert found["last_seen"].tzinfo is datetime.UTC
    assert found["hardware_info"] == device["hardware_info"]
    assert (found["subdomain_enabled"], found["revision"]) == (True, 0)


def test_a_naive_time_is_refused(database):
    with pytest.raises(sa.exc.StatementError, match="aware UTC"):
        result(database.run(_add(created_at=NOW.replace(tzinfo=None))))


def test_a_failure_undoes_the_whole_transaction(database):
    def half(connection):
        _add(name="half")(connection)
        raise EdgetainerError("invalid_field", "no")

    with pytest.raises(EdgetainerError, match="no"):
        result(database.run(half))
    assert result(database.read(_count)) == 0


def test_reading_cannot_write(database):
    with pytest.raises(DBAPIError, match=r"read-?only"):
        result(database.read(_add()))
    result(database.run(_add()))
    assert result(database.read(_count)) == 1


def test_violated_names_the_unique_key(database):
    result(database.run(_add(name="same")))
    with pytest.raises(IntegrityError) as caught:
        result(database.run(_add(name="same")))
    assert violated(caught.value) == "fleets.name"
    device = {
        "id": str(uuid4()), "device_id": "d", "name": "d", "fleet_id": str(uuid4()),
        "status": "pending", "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    with pytest.raises(IntegrityError) as caught:
        result(
            database.run(lambda c: c.execute(sa.insert(tables.devices).values(**device)) and None)
        )
    assert violated(caught.value) is None


def test_messages_hold_no_values(database):
    result(database.run(_add(name="s3cret-value")))
    with pytest.raises(IntegrityError) as caught:
        result(database.run(_add(name="s3cret-value", description="s3cret-too")))
    assert "s3cret-too" not in str(caught.value)


@pytest_twisted.ensureDeferred
async def test_transactions_run_beside_the_reactor(threaded_database):
    mine = threading.get_ident()
    assert await threaded_database.run(lambda c: threading.get_ident()) != mine


@pytest_twisted.ensureDeferred
async def test_concurrent_read_then_write_loses_nothing(threaded_database):
    await threaded_database.run(_add(name="n", description="0"))

    def bump(connection):
        value = int(connection.scalar(sa.select(tables.fleets.c.description).with_for_update()))
        connection.execute(sa.update(tables.fleets).values(description=str(value + 1)))

    await gatherResults([threaded_database.run(bump) for _ in range(30)])
    found = await threaded_database.read(lambda c: c.scalar(sa.select(tables.fleets.c.description)))
    assert found == "30"


@pytest_twisted.ensureDeferred
async def test_a_reader_does_not_wait_for_a_writer(threaded_database):
    inside, release = threading.Event(), threading.Event()

    def slow(connection):
        _add(name="slow")(connection)
        inside.set()
        assert release.wait(10)

    writing = threaded_database.run(slow)
    waited: Deferred[None] = Deferred()

    def look():
        if inside.is_set():
            waited.callback(None)
        else:
            reactor.callLater(0.005, look)

    look()
    await waited
    try:
        assert await threaded_database.read(_count) == 0
    finally:
        release.set()
    await writing
    assert await threaded_database.read(_count) == 1


def test_a_mistake_of_ours_is_not_called_unavailable(database):
    with pytest.raises(DBAPIError):
        result(database.read(lambda c: c.execute(sa.text("SELECT 1 FROM no_such_table"))))


def test_a_database_that_is_away_is_unavailable():
    away = Database("postgresql://nobody@127.0.0.1:1/none", reactor=None)
    with pytest.raises(EdgetainerError) as caught:
        result(away.run(lambda c: None))
    assert caught.value.code == "unavailable"
    away.close()


@pytest.fixture
def postgresql(tmp_path):
    with opened("postgresql", tmp_path, reactor=None) as door:
        yield door


def _with(door, **changes):
    """The same database by another door, whose sessions have other limits."""
    url = door.url.update_query_dict(changes) if changes else door.url
    return Database(url.render_as_string(hide_password=False), reactor=None)


def _show(name):
    return lambda c: c.scalar(sa.text(f"SHOW {name}"))


def test_no_statement_and_no_lock_is_waited_for_for_ever(postgresql, monkeypatch):
    assert result(postgresql.read(_show("statement_timeout"))) == "30s"
    assert result(postgresql.read(_show("idle_in_transaction_session_timeout"))) == "30s"
    limits = {"statement_timeout": 200, "lock_timeout": 20}
    monkeypatch.setattr(module, "SESSION_MS", limits)
    hasty = _with(postgresql)
    result(hasty.run(_add(name="f")))

    def lock(connection):
        return connection.execute(sa.select(tables.fleets.c.id).with_for_update()).all()

    def beside(connection):
        lock(connection)
        with pytest.raises(EdgetainerError) as caught:
            result(hasty.run(lock))
        return caught.value.code

    assert result(postgresql.run(beside)) == "unavailable"
    assert len(result(hasty.run(lock))) == 1
    with pytest.raises(EdgetainerError) as caught:
        result(hasty.read(lambda c: c.execute(sa.text("SELECT pg_sleep(30)")) and None))
    assert caught.value.code == "unavailable"
    hasty.close()


def test_what_the_address_asks_of_sessions_goes_before(postgresql):
    own = _with(postgresql, options="-c statement_timeout=7s", connect_timeout="9")
    assert result(own.read(_show("statement_timeout"))) == "7s"
    own.close()


def test_a_session_that_the_server_ends_harms_only_its_own_transaction(postgresql):
    def die(connection):
        _add(name="half")(connection)
        connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(EdgetainerError) as caught:
        result(postgresql.run(die))
    assert caught.value.code == "unavailable"
    assert result(postgresql.read(_count)) == 0


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_addresses_that_cannot_work_are_refused(url):
    with pytest.raises(EdgetainerError) as caught:
        Database(url, reactor=None)
    assert (caught.value.code, caught.value.field) == ("config_invalid", "database_url")


@pytest_twisted.ensureDeferred
async def test_after_close_nothing_runs(tmp_path):
    door = Database(f"sqlite:///{tmp_path}/x.sqlite", reactor=reactor)
    door.close()
    with pytest.raises(EdgetainerError) as caught:
        await door.run(lambda c: None)
    assert caught.value.code == "unavailable"


def test_the_file_is_for_its_owner_only(tmp_path):
    path = tmp_path / "state" / "x.sqlite"
    door = Database(f"sqlite:///{path}", reactor=None)
    result(door.migrate())
    modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    door.close()
    assert modes["x.sqlite"] == 0o600
    assert set(modes.values()) == {0o600}
