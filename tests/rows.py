"""Rows that tests need before they can begin."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import insert

from edgetainer.storage import tables
from tests.databases import result

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def user(database, *, role: str = "operator", name: str | None = None) -> str:
    """A user who cannot sign in; the new id is returned, here and below."""
    id_ = str(uuid4())
    name = name or f"user-{id_}"
    values = {
        "id": id_,
        "username": name,
        "email": f"{name}@example.com",
        "password_hash": "-",
        "role": role,
        "created_at": NOW,
        "updated_at": NOW,
    }
    result(database.run(lambda c: c.execute(insert(tables.users).values(values)) and None))
    return id_


def fleet(database, *, name: str | None = None) -> str:
    id_ = str(uuid4())
    values = {"id": id_, "name": name or f"fleet-{id_}", "created_at": NOW, "updated_at": NOW}
    result(database.run(lambda c: c.execute(insert(tables.fleets).values(values)) and None))
    return id_


def device(database, *, fleet_id: str | None = None, subdomain: str | None = None) -> str:
    id_ = str(uuid4())
    values = {
        "id": id_,
        "device_id": f"host-{id_}",
        "name": "A device",
        "fleet_id": fleet_id,
        "status": "offline",
        "subdomain": subdomain,
        "created_at": NOW,
        "updated_at": NOW,
    }
    result(database.run(lambda c: c.execute(insert(tables.devices).values(values)) and None))
    return id_
