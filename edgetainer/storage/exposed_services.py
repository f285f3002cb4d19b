"""Exposed services, the container ports that have an outside address: SQL only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from edgetainer.storage.tables import devices, exposed_services

_table = exposed_services


@dataclass(frozen=True)
class ExposedService:
    """A port of a container that is reachable from outside.

    :param name: its label in the address; one of a kind on the device.
    :param container_name: the service in the compose file.
    """

    id: str
    device_id: str
    name: str
    container_name: str
    internal_port: int
    external_port: int | None
    protocol: str
    url_path: str | None
    auth_required: bool
    enabled: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Address:
    """The part of a device that its services' addresses are made of."""

    subdomain: str | None
    subdomain_enabled: bool


@dataclass(frozen=True)
class Addressed:
    """A device as its subdomain leads to it, with its enabled services.

    :param services: the oldest first.
    """

    device_id: str
    subdomain_enabled: bool
    services: tuple[ExposedService, ...]


def add(connection: Connection, service: ExposedService) -> None:
    """Store a new one.

    :raises IntegrityError: the name is taken, or there is no such device.
    """
    connection.execute(insert(_table).values(**vars(service)))


def get(
    connection: Connection,
    device_id: str,
    id: str,
    *,
    lock: bool = False,
) -> ExposedService | None:
    """One of the device's services; None also for another device's.

    :param lock: nobody else changes it until the transaction ends.
    """
    query = select(_table).where(_table.c.id == id, _table.c.device_id == device_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _service(row) if row else None


def of_device(connection: Connection, device_id: str) -> list[ExposedService]:
    """All of a device's services, the oldest first."""
    query = select(_table).where(_table.c.device_id == device_id)
    rows = connection.execute(query.order_by(_table.c.created_at, _table.c.id))
    return [_service(row) for row in rows]


def count(connection: Connection, device_id: str) -> int:
    """How many services a device has."""
    query = select(func.count()).select_from(_table).where(_table.c.device_id == device_id)
    return connection.execute(query).scalar_one()


def replace(connection: Connection, service: ExposedService) -> None:
    """Store a changed one.

    :raises IntegrityError: the name is taken.
    """
    connection.execute(update(_table).where(_table.c.id == service.id).values(**vars(service)))


def remove(connection: Connection, device_id: str, id: str) -> ExposedService | None:
    """Delete one of the device's services and hand it back; None when there is none."""
    found = get(connection, device_id, id, lock=True)
    if found is not None:
        connection.execute(delete(_table).where(_table.c.id == id))
    return found


def address(connection: Connection, device_id: str) -> Address | None:
    """A device's part of its services' addresses, or None where there is no such device."""
    query = select(devices.c.subdomain, devices.c.subdomain_enabled).where(
        devices.c.id == device_id
    )
    row = connection.execute(query).one_or_none()
    return Address(**row._mapping) if row else None


def addressed(connection: Connection, subdomain: str) -> Addressed | None:
    """The device that a subdomain leads to, or None."""
    query = select(devices.c.id, devices.c.subdomain_enabled).where(
        devices.c.subdomain == subdomain
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    services = tuple(service for service in of_device(connection, row.id) if service.enabled)
    return Addressed(row.id, row.subdomain_enabled, services)


def _service(row: Row[Any]) -> ExposedService:
    return ExposedService(**row._mapping)
