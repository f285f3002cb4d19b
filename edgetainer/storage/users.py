"""People: SQL only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from edgetainer.domain.access import Role
from edgetainer.storage.tables import users


@dataclass(frozen=True)
class User:
    """A person, as everybody who may may see them: without the password's hash."""

    id: str
    username: str
    email: str
    role: Role
    created_at: datetime
    updated_at: datetime


def add(connection: Connection, user: User, *, password_hash: str) -> None:
    """Store a new user.

    :raises IntegrityError: `users.username` or `users.email` is taken.
    """
    connection.execute(
        insert(users).values(
            id=user.id,
            username=user.username,
            email=user.email,
            role=user.role.value,
            password_hash=password_hash,
            created_at=user.created_at,
            updated_at=user.updated_at,
        )
    )


def get(connection: Connection, id: str, *, lock: bool = False) -> User | None:
    """One user, or None. `lock`: nobody else changes it until the transaction ends."""
    query = select(users).where(users.c.id == id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return _user(row) if row else None


def credentials(connection: Connection, username: str) -> tuple[User, str] | None:
    """The user of this (lower-case) name and the password's hash, or None."""
    row = connection.execute(select(users).where(users.c.username == username)).one_or_none()
    return (_user(row), row.password_hash) if row else None


def password_hash(connection: Connection, id: str) -> str | None:
    """The hash of a user's password, or None where there is no such user."""
    return connection.scalar(select(users.c.password_hash).where(users.c.id == id))


def page(connection: Connection, *, limit: int, offset: int) -> tuple[list[User], int]:
    """Some of all users in the order of names, and how many there are."""
    rows = connection.execute(
        select(users).order_by(users.c.username).limit(limit).offset(offset)
    ).all()
    return [_user(row) for row in rows], count(connection)


def count(connection: Connection) -> int:
    """How many users there are."""
    return connection.execute(select(func.count()).select_from(users)).scalar_one()


def lock_admins(connection: Connection) -> int:
    """How many admins there are; none is added or removed until the transaction ends."""
    rows = connection.execute(
        # In one order always, so that two who count do not wait for each other.
        select(users.c.id).where(users.c.role == Role.ADMIN).order_by(users.c.id).with_for_update()
    )
    return len(rows.all())


def change(connection: Connection, id: str, *, now: datetime, **values: Any) -> None:
    """Set some of a user's columns.

    :raises IntegrityError: `users.username` or `users.email` is taken.
    """
    connection.execute(update(users).where(users.c.id == id).values(updated_at=now, **values))


def remove(connection: Connection, id: str) -> bool:
    """Delete a user with all sign-ins; False when there is none."""
    return connection.execute(delete(users).where(users.c.id == id)).rowcount > 0


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        username=row.username,
        email=row.email,
        role=Role(row.role),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
