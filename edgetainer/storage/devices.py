"""Devices: SQL only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from edgetainer.domain.presence import Status
from edgetainer.storage.tables import deployment_states, device_reports, devices, fleets


@dataclass(frozen=True)
class Device:
    """A device with the name of its fleet and its last metrics."""

    id: str
    device_id: str
    name: str
    fleet_id: str | None
    fleet_name: str | None
    status: Status
    last_seen: datetime | None
    ip_address: str | None
    os_version: str | None
    agent_version: str | None
    hardware_info: dict[str, Any] | None
    subdomain: str | None
    subdomain_enabled: bool
    metrics: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


def add(
    connection: Connection,
    *,
    id: str,
    device_id: str,
    name: str,
    fleet_id: str | None,
    subdomain: str,
    now: datetime,
    **values: Any,
) -> None:
    """Store a new device; it is `pending` until it connects.

    :raises IntegrityError: `devices.device_id` or `devices.subdomain` is taken, or
        there is no such fleet.
    """
    connection.execute(
        insert(devices).values(
            id=id,
            device_id=device_id,
            name=name,
            fleet_id=fleet_id,
            subdomain=subdomain,
            status=Status.PENDING.value,
            created_at=now,
            updated_at=now,
            **values,
        )
    )


def get(connection: Connection, id: str) -> Device | None:
    """One device, or None."""
    row = connection.execute(_select().where(devices.c.id == id)).one_or_none()
    return _device(row) if row else None


def get_many(connection: Connection, ids: Iterable[str]) -> list[Device]:
    """Those of the devices that exist, in no particular order."""
    rows = connection.execute(_select().where(devices.c.id.in_(list(ids))))
    return [_device(row) for row in rows]


def page(
    connection: Connection,
    *,
    limit: int,
    offset: int,
    fleet_id: str | None = None,
    status: str | None = None,
) -> tuple[list[Device], int]:
    """Some of all devices (of a fleet, of a status) in the order of names, and how many."""
    wanted = []
    if fleet_id is not None:
        wanted.append(devices.c.fleet_id == fleet_id)
    if status is not None:
        wanted.append(devices.c.status == status)
    query = _select().where(*wanted).order_by(devices.c.name, devices.c.id)
    total = connection.execute(select(func.count()).select_from(devices).where(*wanted))
    rows = connection.execute(query.limit(limit).offset(offset))
    return [_device(row) for row in rows], total.scalar_one()


def exists(connection: Connection, id: str) -> bool:
    """Whether there is such a device."""
    return connection.scalar(select(devices.c.id).where(devices.c.id == id)) is not None


def subdomain_taken(connection: Connection, subdomain: str) -> bool:
    """Whether a device has this subdomain."""
    query = select(devices.c.id).where(devices.c.subdomain == subdomain)
    return connection.scalar(query) is not None


def device_id_taken(connection: Connection, device_id: str) -> bool:
    """Whether a device calls itself so."""
    query = select(devices.c.id).where(devices.c.device_id == device_id)
    return connection.scalar(query) is not None


def change(connection: Connection, id: str, *, now: datetime, **values: Any) -> None:
    """Set some of the columns that people edit.

    :raises IntegrityError: `devices.subdomain` is taken, or there is no such fleet.
    """
    connection.execute(update(devices).where(devices.c.id == id).values(updated_at=now, **values))


def observe(connection: Connection, id: str, **values: Any) -> None:
    """Set columns that follow from watching the device; it does not count as an edit."""
    if values:
        connection.execute(update(devices).where(devices.c.id == id).values(**values))


def not_offline(connection: Connection) -> list[str]:
    """The devices that are stored as being here."""
    here = [Status.ONLINE.value, Status.UPDATING.value, Status.ERROR.value]
    return list(connection.scalars(select(devices.c.id).where(devices.c.status.in_(here))))


def deployment_states_of(connection: Connection, ids: Iterable[str]) -> dict[str, set[str]]:
    """What each of these devices said of its deployments."""
    states = deployment_states
    query = select(states.c.device_id, states.c.status).where(states.c.device_id.in_(list(ids)))
    found: dict[str, set[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.device_id, set()).add(row.status)
    return found


def remove(connection: Connection, id: str) -> bool:
    """Delete a device with everything that is its own; False when there is none."""
    return connection.execute(delete(devices).where(devices.c.id == id)).rowcount > 0


def _select() -> Select[Any]:
    return (
        select(devices, fleets.c.name.label("fleet_name"), device_reports.c.metrics)
        .join(fleets, fleets.c.id == devices.c.fleet_id, isouter=True)
        .join(device_reports, device_reports.c.device_id == devices.c.id, isouter=True)
    )


def _device(row: Row[Any]) -> Device:
    return Device(
        id=row.id,
        device_id=row.device_id,
        name=row.name,
        fleet_id=row.fleet_id,
        fleet_name=row.fleet_name,
        status=Status(row.status),
        last_seen=row.last_seen,
        ip_address=row.ip_address,
        os_version=row.os_version,
        agent_version=row.agent_version,
        hardware_info=row.hardware_info,
        subdomain=row.subdomain,
        subdomain_enabled=row.subdomain_enabled,
        metrics=row.metrics,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
