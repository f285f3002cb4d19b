"""Enrolment tokens and which key used which: SQL only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from edgetainer.storage.tables import enrolment_tokens as tokens
from edgetainer.storage.tables import enrolments


@dataclass(frozen=True)
class EnrolmentToken:
    """A token as people see it later; what it was is never shown again."""

    id: str
    description: str | None
    fleet_id: str | None
    device_id: str | None
    uses: int
    uses_left: int
    expires_at: datetime
    created_at: datetime


def add(
    connection: Connection, token: EnrolmentToken, *, token_hash: str, created_by: str | None
) -> None:
    """Store a new token.

    :raises IntegrityError: there is no such fleet or device.
    """
    connection.execute(
        insert(tokens).values(
            id=token.id,
            token_hash=token_hash,
            description=token.description,
            fleet_id=token.fleet_id,
            device_id=token.device_id,
            created_by=created_by,
            uses=token.uses,
            uses_left=token.uses_left,
            expires_at=token.expires_at,
            created_at=token.created_at,
        )
    )


def exists(connection: Connection, token_hash: str) -> bool:
    """Whether there is such a token, used up and expired ones too; nothing is locked."""
    return (
        connection.scalar(select(tokens.c.id).where(tokens.c.token_hash == token_hash)) is not None
    )


def by_hash(connection: Connection, token_hash: str) -> EnrolmentToken | None:
    """The token, locked until the transaction ends, so that uses are counted one by one."""
    row = connection.execute(
        select(tokens).where(tokens.c.token_hash == token_hash).with_for_update()
    ).one_or_none()
    return _token(row) if row else None


def use(connection: Connection, id: str) -> bool:
    """Take one use of a token; False when none is left."""
    query = update(tokens).where(tokens.c.id == id, tokens.c.uses_left > 0)
    return connection.execute(query.values(uses_left=tokens.c.uses_left - 1)).rowcount > 0


def page(connection: Connection, *, limit: int, offset: int) -> tuple[list[EnrolmentToken], int]:
    """Some of all tokens, the newest first, and how many there are."""
    query = select(tokens).order_by(tokens.c.created_at.desc(), tokens.c.id)
    total = connection.execute(select(func.count()).select_from(tokens)).scalar_one()
    rows = connection.execute(query.limit(limit).offset(offset))
    return [_token(row) for row in rows], total


def remove(connection: Connection, id: str) -> bool:
    """Delete a token; devices that it enrolled stay. False when there is none."""
    return connection.execute(delete(tokens).where(tokens.c.id == id)).rowcount > 0


def add_enrolment(
    connection: Connection, *, token_id: str, spki_sha256: str, device_id: str, now: datetime
) -> None:
    """Remember that a key used a token to become a device."""
    connection.execute(
        insert(enrolments).values(
            token_id=token_id, spki_sha256=spki_sha256, device_id=device_id, created_at=now
        )
    )


def enrolled(connection: Connection, *, token_id: str, spki_sha256: str) -> str | None:
    """The device that this key became with this token, or None."""
    return connection.scalar(
        select(enrolments.c.device_id).where(
            enrolments.c.token_id == token_id, enrolments.c.spki_sha256 == spki_sha256
        )
    )


def _token(row: Row[Any]) -> EnrolmentToken:
    return EnrolmentToken(
        id=row.id,
        description=row.description,
        fleet_id=row.fleet_id,
        device_id=row.device_id,
        uses=row.uses,
        uses_left=row.uses_left,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )
