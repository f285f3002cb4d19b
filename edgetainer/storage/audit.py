"""Who did what to what: SQL only, and only ever added to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from edgetainer.domain.access import SYSTEM, DeviceIdentity, Principal
from edgetainer.storage.tables import audit


@dataclass(frozen=True)
class Entry:
    """One thing that was done."""

    id: int
    at: datetime
    actor_kind: str
    actor_id: str | None
    actor_name: str | None
    action: str
    target_kind: str | None
    target_id: str | None
    detail: dict[str, Any] | None
    address: str | None


def append(
    connection: Connection,
    who: Principal | DeviceIdentity | None,
    action: str,
    *,
    now: datetime,
    target: tuple[str, str] | None = None,
    detail: dict[str, Any] | None = None,
    address: str | None = None,
) -> None:
    """Write down what was done, in the transaction that does it.

    :param who: None for somebody who is not signed in.
    :param action: usually the key of `domain.access.RULES`.
    :param target: kind ("device", "user") and id of what it was done to.
    :param detail: never a secret: names of changed fields, counts, reasons.
    """
    if isinstance(who, DeviceIdentity):
        actor = ("device", who.device_id, None)
    elif who is None:
        actor = ("nobody", None, None)
    elif who == SYSTEM:
        actor = ("system", None, who.username)
    else:
        actor = ("user", who.user_id, who.username)
    connection.execute(
        insert(audit).values(
            at=now,
            actor_kind=actor[0],
            actor_id=actor[1],
            actor_name=actor[2],
            action=action,
            target_kind=target[0] if target else None,
            target_id=target[1] if target else None,
            detail=detail,
            address=address or None,
        )
    )


def latest(connection: Connection, *, limit: int) -> list[Entry]:
    """The newest entries, the newest first."""
    rows = connection.execute(select(audit).order_by(audit.c.id.desc()).limit(limit))
    return [Entry(**row._mapping) for row in rows]
