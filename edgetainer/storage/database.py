"""One transaction at a time, off the reactor: `await database.run(fn)`.

SQLAlchemy stays synchronous. `fn(connection)` runs in one transaction on a
thread pool and hands back frozen values. SQLite (WAL) is the embedded default;
PostgreSQL through psycopg2 is for production; callers cannot tell them apart.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import Connection, Engine, UniqueConstraint, event
from sqlalchemy.exc import DBAPIError, IntegrityError, TimeoutError  # noqa: A004
from sqlalchemy.pool import QueuePool
from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from edgetainer.errors import EdgetainerError
from edgetainer.storage import migrations
from edgetainer.storage.tables import metadata

T = TypeVar("T")

_log = Logger()

# Threads of the pool, and so connections: enough to hide PostgreSQL's round
# trips; SQLite gains nothing beyond a few readers next to its one writer.
THREADS = 8
# Milliseconds that SQLite waits for another process's lock before it gives up.
BUSY_TIMEOUT_MS = 10_000
# What PostgreSQL is asked to keep to, in milliseconds. A statement or a lock that
# takes longer fails, so that threads come back; a transaction of a server that
# vanished without a word ends, so that the others get its locks.
SESSION_MS = {
    "statement_timeout": 30_000,
    "lock_timeout": BUSY_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": 30_000,
}
# The network's part of the same, for both ends: seconds without a sign of life
# before asking, between asking, and times to ask.
KEEPALIVES = {"idle": 10, "interval": 5, "count": 3}
# Milliseconds that sent data may stay unacknowledged.
UNACKNOWLEDGED_MS = 15_000
# Tries for a transaction that PostgreSQL asks us to repeat (deadlock, serialization).
ATTEMPTS = 3
_REPEATABLE = {"40001", "40P01"}


def violated(error: IntegrityError) -> str | None:
    """Which unique key a write broke: `"users.username"`, `"releases.software_id,version"`.

    None when it was not a unique key (a foreign key, a check).
    """
    if isinstance(error.orig, sqlite3.IntegrityError):
        message = str(error.orig)
        prefix = "UNIQUE constraint failed: "
        if not message.startswith(prefix):
            return None
        columns = [name.strip() for name in message[len(prefix) :].split(",")]
        table = columns[0].partition(".")[0]
        return f"{table}." + ",".join(name.partition(".")[2] for name in columns)
    diagnostics = getattr(error.orig, "diag", None)
    if diagnostics is None or getattr(error.orig, "pgcode", None) != "23505":
        return None
    for table_ in metadata.tables.values():
        for constraint in table_.constraints:
            if (
                isinstance(constraint, UniqueConstraint | sqlalchemy.PrimaryKeyConstraint)
                and constraint.name == diagnostics.constraint_name
            ):
                return f"{table_.name}." + ",".join(column.name for column in constraint.columns)
    return None


class Database:
    """The door to the database.

    :param url: an SQLAlchemy address: `sqlite:////path/file` or `postgresql://…`
        (through psycopg2).
    :param reactor: where results are delivered; None runs every transaction
        at once in the caller's thread (command line, tests on a fake clock).
    :param threads: the size of the thread pool.

    Use `migrate()` before anything else and `close()` at the end.
    """

    def __init__(
        self, url: str, *, reactor: IReactorFromThreads | None, threads: int = THREADS
    ) -> None:
        self.url = sqlalchemy.engine.make_url(url)
        if self.url.drivername == "postgresql":
            # SQLAlchemy's own default driver differs between its versions.
            self.url = self.url.set(drivername="postgresql+psycopg2")
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if not self.is_sqlite and self.url.get_backend_name() != "postgresql":
            raise EdgetainerError(
                "config_invalid",
                f"database_url names {self.url.get_backend_name()}; use sqlite or postgresql.",
                field="database_url",
            )
        if self.is_sqlite and self.url.database in (None, "", ":memory:"):
            raise EdgetainerError(
                "config_invalid", "database_url must name a file.", field="database_url"
            )
        self._reactor = reactor
        self._engine = _engine(self.url, threads, is_sqlite=self.is_sqlite)
        # SQLite has one writer. Waiting in line here is fair and keeps the
        # pool's threads free for readers; its own busy handler does neither.
        self._writers: DeferredLock | None = DeferredLock() if self.is_sqlite else None
        self._pool: ThreadPool | None = None
        if reactor is not None:
            self._pool = ThreadPool(minthreads=0, maxthreads=threads, name="database")
            self._pool.start()

    def run(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        """Run `fn` in one transaction that may write; fires with what it returned.

        :param fn: touches only the connection; it may be run again when
            PostgreSQL asks for it, so it has no other effect. What it returns
            leaves the thread: frozen values, never rows.
        :raises EdgetainerError: `unavailable` when the database does not answer.
            Whatever else `fn` raises passes through, the transaction undone.
        """
        if self._writers is None:
            return self._in_thread(self._transact, fn, read_only=False)
        return self._writers.run(self._in_thread, self._transact, fn, read_only=False)

    def read(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        """Like `run` for a transaction that only reads: it never waits for a writer."""
        return self._in_thread(self._transact, fn, read_only=True)

    def migrate(self, revision: str = "head") -> Deferred[None]:
        """Bring the tables to a revision (`"head"`, `"base"` or a revision's id)."""
        return self._in_thread(self._migrate, revision)

    def close(self) -> None:
        """Close every connection once the running transactions are through."""
        if self._pool is not None:
            self._pool.stop()
            self._pool = None
        self._engine.dispose()

    def _in_thread(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> Deferred[T]:
        if self._reactor is None:
            return maybeDeferred(fn, *args, **kwargs)
        if self._pool is None:
            return maybeDeferred(_closed)
        return deferToThreadPool(self._reactor, self._pool, fn, *args, **kwargs)

    def _transact(self, fn: Callable[[Connection], T], *, read_only: bool) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._engine.connect() as connection:
                    connection.execution_options(edgetainer_read_only=read_only)
                    if read_only and not self.is_sqlite:
                        connection.execution_options(postgresql_readonly=True)
                    with connection.begin():
                        return fn(connection)
            except IntegrityError:
                raise
            except (DBAPIError, TimeoutError) as error:
                code = getattr(getattr(error, "orig", None), "pgcode", None)
                if code in _REPEATABLE and attempt < ATTEMPTS:
                    # Both sides of a deadlock coming back at once would meet again.
                    time.sleep(0.01 * attempt)
                    continue
                if _is_away(error):
                    _log.error("database: {error}", error=str(error))
                    raise EdgetainerError(
                        "unavailable", "The database does not answer; try again shortly."
                    ) from error
                raise
        raise AssertionError("unreachable")

    def _migrate(self, revision: str) -> None:
        try:
            with migrations.lock(self._engine, is_sqlite=self.is_sqlite) as connection:
                migrations.migrate(connection, revision)
        except (DBAPIError, TimeoutError) as error:
            if not _is_away(error):
                raise
            # Told at start, to whoever set the address: the driver's reason helps.
            reason = str(getattr(error, "orig", error)).strip()
            raise EdgetainerError(
                "unavailable", f"The database does not answer: {reason}"
            ) from error


def _closed() -> Any:
    raise EdgetainerError("unavailable", "The server is stopping.")


def _is_away(error: DBAPIError | TimeoutError) -> bool:
    """Whether the database (and not our SQL) is at fault."""
    if isinstance(error, TimeoutError) or error.connection_invalidated:
        return True
    if not isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        # The driver calls a misspelt table operational too.
        name = getattr(error.orig, "sqlite_errorname", "") or ""
        return name.startswith(
            ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN")
        )
    code = getattr(error.orig, "pgcode", None)
    # No code: the connection itself. Else connection, resources, operator
    # intervention (a statement that took too long is among it), a lock not got.
    return code is None or code[:2] in {"08", "53", "57"} or code == "55P03"


def _engine(url: sqlalchemy.URL, threads: int, *, is_sqlite: bool) -> Engine:
    options: dict[str, Any] = {
        "poolclass": QueuePool,
        "pool_size": threads,
        "max_overflow": 0,
        # Values may be secrets (token hashes, passwords): keep them out of messages.
        "hide_parameters": True,
    }
    if is_sqlite:
        path = Path(str(url.database))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # For its owner only, and so are the files that SQLite puts beside it.
        path.touch(mode=0o600)
        engine = sqlalchemy.create_engine(
            url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}, **options
        )
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    # One cheap question per borrowed connection finds those that a restart killed.
    connect = {
        "connect_timeout": 5,
        "tcp_user_timeout": UNACKNOWLEDGED_MS,
        **{f"keepalives_{name}": value for name, value in KEEPALIVES.items()},
    }
    # What the address says itself goes before.
    connect = {name: value for name, value in connect.items() if name not in url.query}
    engine = sqlalchemy.create_engine(url, pool_pre_ping=True, connect_args=connect, **options)
    if "options" not in url.query:
        event.listen(engine, "connect", _configure_postgresql)
    return engine


def _configure_postgresql(connection: Any, _record: object) -> None:
    settings = {**SESSION_MS, **{f"tcp_keepalives_{n}": value for n, value in KEEPALIVES.items()}}
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))
    connection.commit()


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction handling begins late and never for reads; ours is explicit.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode=WAL")
        # FULL: an acknowledged change survives a power cut.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    finally:
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("edgetainer_read_only", False)
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
    # IMMEDIATE: a transaction that reads first and writes later cannot be
    # refused the lock in its middle (SQLITE_BUSY that no waiting cures).
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
