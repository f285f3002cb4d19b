"""Releases, the immutable versions of a software: SQL only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, func, insert, select

from edgetainer.storage.tables import releases


@dataclass(frozen=True)
class Release:
    """One version of a software, with the compose file that it is."""

    id: str
    software_id: str
    version: str
    compose: str
    notes: str | None
    created_by: str | None
    created_at: datetime


def add(connection: Connection, release: Release) -> None:
    """Store a new release.

    :raises IntegrityError: the software has this version already.
    """
    connection.execute(
        insert(releases).values(
            id=release.id,
            software_id=release.software_id,
            version=release.version,
            docker_compose_yaml=release.compose,
            notes=release.notes,
            created_by=release.created_by,
            created_at=release.created_at,
        )
    )


def page(
    connection: Connection, software_id: str, *, limit: int, offset: int
) -> tuple[list[Release], int]:
    """Some of a software's releases, the newest first, and how many there are."""
    mine = releases.c.software_id == software_id
    query = _select().where(mine).order_by(releases.c.created_at.desc(), releases.c.id)
    rows = connection.execute(query.limit(limit).offset(offset))
    total = connection.execute(select(func.count()).select_from(releases).where(mine))
    return [Release(**row._mapping) for row in rows], total.scalar_one()


def get(connection: Connection, software_id: str, version: str) -> Release | None:
    """One release of a software, or None."""
    query = _select().where(releases.c.software_id == software_id, releases.c.version == version)
    row = connection.execute(query).one_or_none()
    return Release(**row._mapping) if row else None


def _select() -> Select[tuple[object, ...]]:
    return select(
        releases.c.id,
        releases.c.software_id,
        releases.c.version,
        releases.c.docker_compose_yaml.label("compose"),
        releases.c.notes,
        releases.c.created_by,
        releases.c.created_at,
    )
