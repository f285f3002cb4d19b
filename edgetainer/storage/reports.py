"""The last thing each device said of itself, metrics and containers: SQL only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from edgetainer.storage.tables import device_reports as reports

# A list that is dated further ahead than this was not overtaken: the server's
# clock was wrong when it came.
AHEAD = timedelta(hours=1)


@dataclass(frozen=True)
class Report:
    """What a device said last; None where it has said nothing yet.

    :param revision: of the desired state that the device had pulled.
    """

    device_id: str
    metrics: dict[str, Any] | None
    metrics_at: datetime | None
    containers: list[dict[str, Any]] | None
    containers_at: datetime | None
    revision: int | None


def get(connection: Connection, device_id: str) -> Report | None:
    """A device's last report, or None."""
    query = select(reports).where(reports.c.device_id == device_id)
    row = connection.execute(query).one_or_none()
    return Report(**row._mapping) if row else None


def store(
    connection: Connection,
    device_id: str,
    *,
    now: datetime,
    metrics: dict[str, Any] | None = None,
    containers: list[dict[str, Any]] | None = None,
    revision: int | None = None,
) -> None:
    """Keep what a device said; None is nothing said, which changes nothing.

    :param now: when it was said; of containers the newest list stays.
    :raises IntegrityError: there is no such device.
    """
    values: dict[str, Any] = {}
    if metrics is not None:
        values |= {"metrics": metrics, "metrics_at": now}
    if containers is not None:
        values |= {"containers": containers, "containers_at": now}
    if revision is not None:
        values["revision"] = revision
    if not values:
        return
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    query = insert(reports).values(device_id=device_id, **values)
    if containers is not None:
        # Heartbeats are written late and together, status reports at once: what
        # is known may be newer.
        known_at = reports.c.containers_at
        older = or_(known_at.is_(None), known_at <= now, known_at > now + AHEAD)
        for name in ("containers", "containers_at"):
            values[name] = case((older, query.excluded[name]), else_=reports.c[name])
    connection.execute(query.on_conflict_do_update(index_elements=["device_id"], set_=values))
