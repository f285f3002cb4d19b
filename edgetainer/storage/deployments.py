"""Deployments, the releases wanted on fleets and devices: SQL only.

There is at most one deployment of a software for a target: deploying again
changes the one that is there. How far each device has come is in
`edgetainer.storage.deployment_states`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from edgetainer.domain.desired import Wanted
from edgetainer.storage.releases import Release
from edgetainer.storage.tables import deployments, devices, releases, software


@dataclass(frozen=True)
class Deployment:
    """A release wanted on a fleet or on a device; the other of the two is None.

    :param status: "pending", "deployed" or "failed", over all its devices.
    """

    id: str
    software_id: str
    software_name: str
    fleet_id: str | None
    device_id: str | None
    version: str
    pinned: bool
    status: str
    detail: str | None
    created_at: datetime
    updated_at: datetime


def place(
    connection: Connection,
    release: Release,
    *,
    id: str,
    fleet_id: str | None,
    device_id: str | None,
    pinned: bool,
    now: datetime,
) -> str:
    """Want `release` on a target in place of what was wanted of its software there.

    :param id: of the deployment, where there is none yet.
    :returns: the deployment's id.
    :raises IntegrityError: there is no such fleet or device.
    """
    target = ["software_id", "fleet_id" if device_id is None else "device_id"]
    changed = {
        "release_id": release.id,
        "version": release.version,
        "pinned": pinned,
        "status": "pending",
        "detail": None,
        "updated_at": now,
    }
    fixed = {
        "id": id,
        "software_id": release.software_id,
        "fleet_id": fleet_id,
        "device_id": device_id,
        "created_at": now,
    }
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    query = insert(deployments).values(**fixed, **changed)
    upsert = query.on_conflict_do_update(index_elements=target, set_=changed)
    stored: str = connection.execute(upsert.returning(deployments.c.id)).scalar_one()
    return stored


def get(connection: Connection, id: str, *, lock: bool = False) -> Deployment | None:
    """One deployment, or None. `lock`: nobody else changes it until the transaction ends."""
    query = _select().where(deployments.c.id == id)
    if lock:
        query = query.with_for_update(of=deployments, key_share=True)
    row = connection.execute(query).one_or_none()
    return Deployment(**row._mapping) if row else None


def of_software(
    connection: Connection, software_id: str, *, limit: int, offset: int
) -> tuple[list[Deployment], int]:
    """Some of where a software is wanted, the newest first, and on how many targets."""
    its = deployments.c.software_id == software_id
    query = _select().where(its).order_by(deployments.c.created_at.desc(), deployments.c.id)
    rows = connection.execute(query.limit(limit).offset(offset))
    total = connection.execute(select(func.count()).select_from(deployments).where(its))
    return [Deployment(**row._mapping) for row in rows], total.scalar_one()


def texts(connection: Connection, *, fleet_id: str | None, device_id: str | None) -> list[str]:
    """The compose files that are wanted on a target itself."""
    query = (
        select(releases.c.docker_compose_yaml)
        .join(deployments, deployments.c.release_id == releases.c.id)
        .where(_target(fleet_id=fleet_id, device_id=device_id))
    )
    return list(connection.scalars(query))


def of_fleet(connection: Connection, fleet_id: str) -> list[str]:
    """The ids of a fleet's deployments, in their order."""
    query = select(deployments.c.id).where(deployments.c.fleet_id == fleet_id)
    return list(connection.scalars(query.order_by(deployments.c.id)))


def of_device(connection: Connection, device_id: str) -> list[Deployment]:
    """What is wanted on a device, by itself or by its fleet; `effective` decides among them."""
    query = _select().where(_concerns(device_id))
    rows = connection.execute(query.order_by(software.c.name, deployments.c.id))
    return [Deployment(**row._mapping) for row in rows]


def wanted(connection: Connection, device_id: str) -> list[Wanted]:
    """The releases behind `of_device`, for the device to run."""
    query = (
        select(
            deployments.c.id.label("deployment_id"),
            deployments.c.software_id,
            software.c.slug.label("name"),
            deployments.c.version,
            releases.c.docker_compose_yaml.label("compose"),
            deployments.c.device_id.is_not(None).label("for_device"),
        )
        .join(software, software.c.id == deployments.c.software_id)
        .join(releases, releases.c.id == deployments.c.release_id)
        .where(_concerns(device_id))
    )
    return [Wanted(**row._mapping) for row in connection.execute(query)]


def set_status(
    connection: Connection,
    id: str,
    *,
    status: str,
    detail: str | None,
    now: datetime,
) -> None:
    """Say how a deployment stands over all its devices."""
    connection.execute(
        update(deployments)
        .where(deployments.c.id == id)
        .values(status=status, detail=detail, updated_at=now)
    )


def remove(connection: Connection, id: str) -> bool:
    """Want it no longer; False when there is none."""
    return connection.execute(delete(deployments).where(deployments.c.id == id)).rowcount > 0


def _target(*, fleet_id: str | None, device_id: str | None) -> ColumnElement[bool]:
    if device_id is not None:
        return deployments.c.device_id == device_id
    return deployments.c.fleet_id == fleet_id


def _concerns(device_id: str) -> ColumnElement[bool]:
    fleet = select(devices.c.fleet_id).where(devices.c.id == device_id).scalar_subquery()
    return or_(deployments.c.device_id == device_id, deployments.c.fleet_id == fleet)


def _select() -> Select[Any]:
    return select(
        deployments.c.id,
        deployments.c.software_id,
        software.c.name.label("software_name"),
        deployments.c.fleet_id,
        deployments.c.device_id,
        deployments.c.version,
        deployments.c.pinned,
        deployments.c.status,
        deployments.c.detail,
        deployments.c.created_at,
        deployments.c.updated_at,
    ).join(software, software.c.id == deployments.c.software_id)
