"""Fleets: SQL only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from edgetainer.storage.tables import devices, fleets


@dataclass(frozen=True)
class Fleet:
    """A group of devices that people handle as one."""

    id: str
    name: str
    description: str | None
    device_count: int
    created_at: datetime
    updated_at: datetime


def add(
    connection: Connection,
    *,
    id: str,
    name: str,
    description: str | None,
    now: datetime,
) -> None:
    """Store a new fleet.

    :raises IntegrityError: `fleets.name` is taken.
    """
    connection.execute(
        insert(fleets).values(
            id=id, name=name, description=description, created_at=now, updated_at=now
        )
    )


def get(connection: Connection, id: str) -> Fleet | None:
    """One fleet, or None."""
    row = connection.execute(_select().where(fleets.c.id == id)).one_or_none()
    return _fleet(row) if row else None


def page(connection: Connection, *, limit: int, offset: int) -> tuple[list[Fleet], int]:
    """Some of all fleets in the order of names, and how many there are."""
    query = _select().order_by(fleets.c.name, fleets.c.id).limit(limit).offset(offset)
    total = connection.execute(select(func.count()).select_from(fleets)).scalar_one()
    return [_fleet(row) for row in connection.execute(query)], total


def change(connection: Connection, id: str, *, now: datetime, **values: Any) -> None:
    """Set some of a fleet's columns.

    :raises IntegrityError: `fleets.name` is taken.
    """
    connection.execute(update(fleets).where(fleets.c.id == id).values(updated_at=now, **values))


def remove(connection: Connection, id: str) -> bool:
    """Delete a fleet with its deployments and enrolment tokens; False when there is none.

    :raises IntegrityError: it has devices.
    """
    return connection.execute(delete(fleets).where(fleets.c.id == id)).rowcount > 0


def _select() -> Select[Any]:
    count = (
        select(func.count())
        .select_from(devices)
        .where(devices.c.fleet_id == fleets.c.id)
        .scalar_subquery()
    )
    return select(fleets, count.label("device_count"))


def _fleet(row: Row[Any]) -> Fleet:
    return Fleet(
        id=row.id,
        name=row.name,
        description=row.description,
        device_count=row.device_count,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
