"""The migrations make exactly the tables that queries are written against."""

from __future__ import annotations

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from edgetainer.storage import migrations
from edgetainer.storage.tables import metadata
from tests.databases import result


def _tables(database):
    return result(database.read(lambda c: set(sa.inspect(c).get_table_names())))


def _differences(database):
    def compare(connection):
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": False}
        )
        return compare_metadata(context, metadata)

    return result(database.read(compare))


def test_forward_from_empty_makes_every_table(empty_database):
    assert _tables(empty_database) == set()
    result(empty_database.migrate())
    assert _tables(empty_database) == {*metadata.tables, "alembic_version"}
    assert _differences(empty_database) == []


def test_back_to_nothing_and_forward_again(empty_database):
    result(empty_database.migrate())
    result(empty_database.migrate("base"))
    assert _tables(empty_database) == {"alembic_version"}
    result(empty_database.migrate())
    assert _differences(empty_database) == []


def test_every_revision_forward_and_back_one_by_one(empty_database):
    history = ScriptDirectory.from_config(migrations.config()).walk_revisions()
    steps = [script.revision for script in history][::-1]
    for revision in steps:
        result(empty_database.migrate(revision))
    for revision in [*steps[:-1][::-1], "base"]:
        result(empty_database.migrate(revision))
    assert _tables(empty_database) == {"alembic_version"}


def test_migrating_twice_changes_nothing(database):
    before = _tables(database)
    result(database.migrate())
    assert _tables(database) == before


def test_checks_are_in_the_database_too(database):
    """compare_metadata does not see CHECK constraints, so one is broken on purpose."""

    def count(connection):
        inspector = sa.inspect(connection)
        return {
            (table, check["name"])
            for table in inspector.get_table_names()
            for check in inspector.get_check_constraints(table)
        }

    expected = {
        (table.name, constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, sa.CheckConstraint)
    }
    assert expected
    assert result(database.read(count)) == expected
