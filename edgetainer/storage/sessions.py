"""Sign-ins and the refresh tokens that keep them going: SQL only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from edgetainer.domain.access import Role
from edgetainer.storage.tables import refresh_sessions as sessions
from edgetainer.storage.tables import refresh_tokens as tokens
from edgetainer.storage.tables import users


@dataclass(frozen=True)
class SignIn:
    """One sign-in of one browser, and whose it is."""

    id: str
    user_id: str
    username: str
    role: Role
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class RefreshToken:
    """A refresh token as it is stored: its hash only."""

    token_hash: str
    session_id: str
    used_at: datetime | None


def begin(
    connection: Connection,
    *,
    session_id: str,
    user_id: str,
    address: str,
    user_agent: str | None,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Store a new sign-in."""
    connection.execute(
        insert(sessions).values(
            id=session_id,
            user_id=user_id,
            address=address,
            user_agent=user_agent,
            created_at=now,
            last_used_at=now,
            expires_at=expires_at,
        )
    )


def get(connection: Connection, session_id: str) -> SignIn | None:
    """A sign-in with its user as they are now, or None."""
    query = (
        select(sessions, users.c.username, users.c.role)
        .join(users, users.c.id == sessions.c.user_id)
        .where(sessions.c.id == session_id)
    )
    row = connection.execute(query).one_or_none()
    return _sign_in(row) if row else None


def addresses(connection: Connection, user_id: str) -> list[str]:
    """Where a user signed in from, as far as those sign-ins are still remembered."""
    query = select(sessions.c.address).where(sessions.c.user_id == user_id).distinct()
    return [address for address in connection.scalars(query) if address]


def add_token(connection: Connection, *, token_hash: str, session_id: str, now: datetime) -> None:
    """Store a fresh refresh token of a sign-in."""
    connection.execute(
        insert(tokens).values(token_hash=token_hash, session_id=session_id, created_at=now)
    )


def token(connection: Connection, token_hash: str) -> RefreshToken | None:
    """A refresh token, locked until the transaction ends, or None."""
    row = connection.execute(
        select(tokens).where(tokens.c.token_hash == token_hash).with_for_update()
    ).one_or_none()
    return RefreshToken(row.token_hash, row.session_id, row.used_at) if row else None


def use_token(
    connection: Connection, token: RefreshToken, *, now: datetime, expires_at: datetime
) -> None:
    """Mark a token as used and its sign-in as alive until `expires_at`."""
    connection.execute(
        update(tokens)
        .where(tokens.c.token_hash == token.token_hash, tokens.c.used_at.is_(None))
        .values(used_at=now)
    )
    connection.execute(
        update(sessions)
        .where(sessions.c.id == token.session_id)
        .values(last_used_at=now, expires_at=expires_at)
    )


def revoke(connection: Connection, session_id: str, *, now: datetime) -> None:
    """End a sign-in; none of its refresh tokens works any more."""
    connection.execute(
        update(sessions)
        .where(sessions.c.id == session_id, sessions.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def revoke_of_user(
    connection: Connection, user_id: str, *, now: datetime, keep: str | None = None
) -> None:
    """End all sign-ins of a user, except `keep`."""
    query = update(sessions).where(sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None))
    if keep is not None:
        query = query.where(sessions.c.id != keep)
    connection.execute(query.values(revoked_at=now))


def forget_expired(connection: Connection, *, now: datetime) -> int:
    """Delete the sign-ins that have expired; how many those were."""
    return connection.execute(delete(sessions).where(sessions.c.expires_at < now)).rowcount


def _sign_in(row: Row[Any]) -> SignIn:
    return SignIn(
        id=row.id,
        user_id=row.user_id,
        username=row.username,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
