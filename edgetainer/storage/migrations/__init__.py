"""The history of the tables, and how a database is brought to a point in it.

Run through `edgetainer.storage.database.Database.migrate`; a new revision goes
beside the others in `versions/`, numbered, with a way forward and a way back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, text

# Any constant that only we use: two servers that start together take turns.
_ADVISORY_LOCK = 0x65646765


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for this package; no .ini file is needed."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent))
    if connection is not None:
        alembic.attributes["connection"] = connection
    return alembic


def migrate(connection: Connection, revision: str) -> None:
    """Move to a revision, forward or back, within the connection's transaction."""
    if revision == "base":
        command.downgrade(config(connection), revision)
        return
    known = [script.revision for script in _history(connection)]
    target = known[0] if revision == "head" else revision
    current = _current(connection)
    if current in known and target in known and known.index(current) < known.index(target):
        command.downgrade(config(connection), target)
    else:
        command.upgrade(config(connection), target)


def _history(connection: Connection) -> list[Script]:
    return list(ScriptDirectory.from_config(config(connection)).walk_revisions())


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@contextlib.contextmanager
def lock(engine: Engine, *, is_sqlite: bool) -> Iterator[Connection]:
    """A transaction that no other migration runs beside."""
    with engine.connect() as connection:
        if is_sqlite:
            # Changing a table on SQLite means copying it and dropping the old
            # one, which must not cascade. The switch works only outside a
            # transaction, so the keys are checked before the commit instead.
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.execute("PRAGMA foreign_keys=OFF")
            try:
                with connection.begin():
                    yield connection
                    broken = connection.execute(text("PRAGMA foreign_key_check")).all()
                    if broken:
                        raise RuntimeError(f"the migration broke foreign keys: {broken[:5]}")
            finally:
                raw.execute("PRAGMA foreign_keys=ON")
        else:
            with connection.begin():
                # Copying a large table takes its time, and so does the other
                # server that we wait for here.
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                connection.execute(text("SET LOCAL lock_timeout = 0"))
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}
                )
                yield connection
