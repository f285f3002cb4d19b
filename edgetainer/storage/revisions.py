"""Revisions of the devices' desired states: SQL only.

A device's revision is raised in the very transaction that changes what it
should run or expose, so that a device which has seen revision N has seen
everything up to N.

Whoever changes what devices should run locks in one order: devices (here),
then deployments, then their states.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, select, update

from edgetainer.storage.tables import devices


def of(connection: Connection, device_id: str) -> int | None:
    """The device's revision, or None where there is no such device."""
    query = select(devices.c.revision).where(devices.c.id == device_id)
    return connection.execute(query).scalar_one_or_none()


def raise_device(connection: Connection, device_id: str) -> dict[str, int]:
    """Raise one device's revision; empty where there is no such device.

    :returns: device id → its new revision.
    """
    return _raise(connection, devices.c.id == device_id)


def raise_fleet(connection: Connection, fleet_id: str) -> dict[str, int]:
    """Raise the revision of every device of a fleet: device id → its new revision."""
    return _raise(connection, devices.c.fleet_id == fleet_id)


def _raise(connection: Connection, which: ColumnElement[bool]) -> dict[str, int]:
    # Locked in the order of ids, so that two changes that meet do not wait for
    # each other; not against references, which reports add all the time.
    locked = select(devices.c.id).where(which).order_by(devices.c.id)
    ids = list(connection.scalars(locked.with_for_update(key_share=True)))
    if not ids:
        return {}
    # `updated_at` stays: it is about what people edit.
    query = (
        update(devices)
        .where(which)
        .values(revision=devices.c.revision + 1)
        .returning(devices.c.id, devices.c.revision)
    )
    return {row.id: row.revision for row in connection.execute(query)}
