"""Software: SQL only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from edgetainer.storage.tables import deployments, releases, software


@dataclass(frozen=True)
class Software:
    """A software as it is stored.

    :param slug: the name of its stacks on devices.
    :param versions: of its releases, the newest first.
    """

    id: str
    name: str
    slug: str
    source: str
    repo_url: str | None
    current_version: str | None
    versions: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


def add(connection: Connection, *, id: str, name: str, slug: str, now: datetime) -> None:
    """Store a new software that people upload by hand.

    :raises IntegrityError: the name or the slug is taken.
    """
    connection.execute(
        insert(software).values(
            id=id, name=name, slug=slug, source="manual", created_at=now, updated_at=now
        )
    )


def get(connection: Connection, id: str, *, lock: bool = False) -> Software | None:
    """One software, or None. `lock`: nobody else changes it until the transaction ends."""
    query = select(software).where(software.c.id == id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _software(row, _versions(connection, [row.id])) if row else None


def by_name(connection: Connection, name: str) -> Software | None:
    """The software that people call `name`, locked until the transaction ends."""
    query = select(software).where(software.c.name == name).with_for_update()
    row = connection.execute(query).one_or_none()
    return _software(row, _versions(connection, [row.id])) if row else None


def page(connection: Connection, *, limit: int, offset: int) -> tuple[list[Software], int]:
    """Some of all software in the order of names, and how many there are."""
    query = select(software).order_by(software.c.name, software.c.id).limit(limit).offset(offset)
    rows = connection.execute(query).all()
    versions = _versions(connection, [row.id for row in rows])
    total = connection.execute(select(func.count()).select_from(software)).scalar_one()
    return [_software(row, versions) for row in rows], total


def set_current(connection: Connection, id: str, version: str, *, now: datetime) -> None:
    """Make `version` the one that is deployed when none is named."""
    connection.execute(
        update(software).where(software.c.id == id).values(current_version=version, updated_at=now)
    )


def remove(connection: Connection, id: str) -> bool:
    """Delete a software with its releases; False when there is none.

    :raises IntegrityError: it is deployed somewhere.
    """
    return connection.execute(delete(software).where(software.c.id == id)).rowcount > 0


def uses(connection: Connection, id: str) -> int:
    """How many deployments want a release of it."""
    query = select(func.count()).select_from(deployments).where(deployments.c.software_id == id)
    return connection.execute(query).scalar_one()


def _versions(connection: Connection, ids: list[str]) -> dict[str, list[str]]:
    query = (
        select(releases.c.software_id, releases.c.version)
        .where(releases.c.software_id.in_(ids))
        .order_by(releases.c.created_at.desc(), releases.c.id)
    )
    found: dict[str, list[str]] = {id_: [] for id_ in ids}
    for software_id, version in connection.execute(query):
        found[software_id].append(version)
    return found


def _software(row: Row[Any], versions: dict[str, list[str]]) -> Software:
    return Software(
        id=row.id,
        name=row.name,
        slug=row.slug,
        source=row.source,
        repo_url=row.repo_url,
        current_version=row.current_version,
        versions=tuple(versions[row.id]),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
