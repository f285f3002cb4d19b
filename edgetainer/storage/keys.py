"""Device keys that are, or were, accepted: SQL only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from edgetainer.storage.tables import device_keys as keys


@dataclass(frozen=True)
class DeviceKey:
    """A public key, whose it is, and the newest certificate issued for it.

    :param spki_sha256: of its SubjectPublicKeyInfo, hexadecimal.
    """

    id: str
    device_id: str
    spki_sha256: str
    certificate: str
    expires_at: datetime
    created_at: datetime
    revoked_at: datetime | None


def add(connection: Connection, key: DeviceKey) -> None:
    """Accept a key.

    :raises IntegrityError: `device_keys.spki_sha256` is known already.
    """
    connection.execute(
        insert(keys).values(
            id=key.id,
            device_id=key.device_id,
            spki_sha256=key.spki_sha256,
            certificate=key.certificate,
            expires_at=key.expires_at,
            created_at=key.created_at,
        )
    )


def get(connection: Connection, spki_sha256: str) -> DeviceKey | None:
    """The key, revoked or not, locked until the transaction ends; or None."""
    row = connection.execute(
        select(keys).where(keys.c.spki_sha256 == spki_sha256).with_for_update()
    ).one_or_none()
    return DeviceKey(**row._mapping) if row else None


def renew(
    connection: Connection, spki_sha256: str, *, certificate: str, expires_at: datetime
) -> None:
    """Put a newer certificate of the same key in the old one's place."""
    connection.execute(
        update(keys)
        .where(keys.c.spki_sha256 == spki_sha256)
        .values(certificate=certificate, expires_at=expires_at)
    )


def accepted(connection: Connection) -> dict[str, str]:
    """Every key that is not revoked: its SPKI's SHA-256 → the device."""
    query = select(keys.c.spki_sha256, keys.c.device_id).where(keys.c.revoked_at.is_(None))
    return {row.spki_sha256: row.device_id for row in connection.execute(query)}


def accepted_for(connection: Connection, spki_sha256: str) -> str | None:
    """The device that a key is accepted for, or None; nothing is locked."""
    query = select(keys.c.device_id).where(
        keys.c.spki_sha256 == spki_sha256, keys.c.revoked_at.is_(None)
    )
    return connection.scalar(query)


def revoke(connection: Connection, device_id: str, *, now: datetime) -> int:
    """Revoke every key of a device; how many those were."""
    return connection.execute(
        update(keys)
        .where(keys.c.device_id == device_id, keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    ).rowcount
