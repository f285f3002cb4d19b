"""Every table of the server, as SQLAlchemy Core.

The migrations make the tables; this module is what queries are written
against, and a test holds the two equal on both databases. Rows never leave the
storage floor: one module per noun turns them into frozen dataclasses.

Conventions: ids are UUIDs (strings in Python), times are UTC (aware datetimes
in Python), JSON is JSONB on PostgreSQL. Unique and foreign keys do the
guarding; `edgetainer.storage.database.violated` tells which one was broken.
"""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB


class UtcDateTime(TypeDecorator[datetime.datetime]):
    """An aware UTC datetime; SQLite keeps no zone, so it is taken off and put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times in the database are aware UTC datetimes")
        value = value.astimezone(datetime.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            return value.replace(tzinfo=datetime.UTC)
        return value.astimezone(datetime.UTC)


# none_as_null: an absent document is SQL NULL, never the JSON word null.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# SQLite numbers rows by itself only in a column that is exactly INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[str]:
    return Column("id", Uuid(as_uuid=False), primary_key=True)


def _reference(name: str, target: str, *, ondelete: str, nullable: bool = False) -> Column[str]:
    return Column(
        name, Uuid(as_uuid=False), ForeignKey(target, ondelete=ondelete), nullable=nullable
    )


def _times() -> tuple[Column[Any], Column[Any]]:
    return (
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
    )


def _time(name: str, *, nullable: bool = False) -> Column[datetime.datetime]:
    return Column(name, UtcDateTime, nullable=nullable)


# ---- people ----------------------------------------------------------------

users = Table(
    "users",
    metadata,
    _id(),
    Column("username", Text, nullable=False, unique=True),  # lower case
    Column("email", Text, nullable=False, unique=True),  # lower case
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    *_times(),
    CheckConstraint("role IN ('admin', 'operator', 'viewer')", name="role"),
)

# One sign-in of one browser: the family of all refresh tokens that descend from it.
refresh_sessions = Table(
    "refresh_sessions",
    metadata,
    _id(),
    _reference("user_id", "users.id", ondelete="CASCADE"),
    Column("address", Text),
    Column("user_agent", Text),
    _time("created_at"),
    _time("last_used_at"),
    _time("expires_at"),
    _time("revoked_at", nullable=True),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

# Used tokens are kept until their session ends: meeting one again is theft.
refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", Text, primary_key=True),  # SHA-256, hexadecimal
    _reference("session_id", "refresh_sessions.id", ondelete="CASCADE"),
    _time("created_at"),
    _time("used_at", nullable=True),
    Index(None, "session_id"),
)

# ---- fleets and devices ----------------------------------------------------

fleets = Table(
    "fleets",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text),
    *_times(),
)

devices = Table(
    "devices",
    metadata,
    _id(),
    # What the device calls itself (its host name, a serial number); people's `name` is beside it.
    Column("device_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    # RESTRICT: a fleet is deleted only when it is empty.
    _reference("fleet_id", "fleets.id", ondelete="RESTRICT", nullable=True),
    Column("status", Text, nullable=False),
    _time("last_seen", nullable=True),
    Column("ip_address", Text),
    Column("os_version", Text),
    Column("agent_version", Text),
    Column("hardware_info", Json),
    Column("subdomain", Text, unique=True),
    Column("subdomain_enabled", Boolean, nullable=False, server_default=text("true")),
    # The revision of the desired state: raised by every change of what should run.
    Column("revision", BigInteger, nullable=False, server_default=text("0")),
    *_times(),
    CheckConstraint(
        "status IN ('pending', 'online', 'offline', 'updating', 'error')", name="status"
    ),
    Index(None, "fleet_id"),
    Index(None, "status"),
    Index(None, "last_seen"),
)

# Accepted device keys: the list that the tunnel's handshake is checked against.
device_keys = Table(
    "device_keys",
    metadata,
    _id(),
    _reference("device_id", "devices.id", ondelete="CASCADE"),
    Column("spki_sha256", Text, nullable=False, unique=True),  # hexadecimal
    Column("certificate", Text, nullable=False),  # PEM, the newest one issued for the key
    _time("expires_at"),
    _time("created_at"),
    _time("revoked_at", nullable=True),
    Index(None, "device_id"),
)

# The last thing a device said of itself; history belongs elsewhere.
device_reports = Table(
    "device_reports",
    metadata,
    Column(
        "device_id", Uuid(as_uuid=False), ForeignKey("devices.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("metrics", Json),
    _time("metrics_at", nullable=True),
    Column("containers", Json),
    _time("containers_at", nullable=True),
    Column("revision", BigInteger),  # of the desired state that the device has reached
)  # fmt: skip

# ---- enrolment -------------------------------------------------------------

enrolment_tokens = Table(
    "enrolment_tokens",
    metadata,
    _id(),
    Column("token_hash", Text, nullable=False, unique=True),  # SHA-256, hexadecimal
    Column("description", Text),
    _reference("fleet_id", "fleets.id", ondelete="CASCADE", nullable=True),
    # Set when the token is for one expected device only.
    _reference("device_id", "devices.id", ondelete="CASCADE", nullable=True),
    _reference("created_by", "users.id", ondelete="SET NULL", nullable=True),
    Column("uses", Integer, nullable=False),
    Column("uses_left", Integer, nullable=False),
    _time("expires_at"),
    _time("created_at"),
    CheckConstraint("uses_left >= 0 AND uses_left <= uses", name="uses_left"),
)

# Which key used which token, so that a lost reply can be given again.
enrolments = Table(
    "enrolments",
    metadata,
    Column(
        "token_id", Uuid(as_uuid=False), ForeignKey("enrolment_tokens.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("spki_sha256", Text, primary_key=True),
    _reference("device_id", "devices.id", ondelete="CASCADE"),
    _time("created_at"),
    Index(None, "device_id"),
)  # fmt: skip

# ---- software and what runs where ------------------------------------------

software = Table(
    "software",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    # The Compose project name of its stacks: stays when the name changes.
    Column("slug", Text, nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("repo_url", Text),
    Column("current_version", Text),
    Column("default_env_vars", Json),
    *_times(),
    CheckConstraint("source IN ('github', 'manual')", name="source"),
)

# One immutable version of a software.
releases = Table(
    "releases",
    metadata,
    _id(),
    _reference("software_id", "software.id", ondelete="CASCADE"),
    Column("version", Text, nullable=False),
    Column("docker_compose_yaml", Text, nullable=False),
    Column("env_defaults", Json),
    Column("images", Json),  # image reference -> digest, once known
    Column("notes", Text),
    _reference("created_by", "users.id", ondelete="SET NULL", nullable=True),
    _time("created_at"),
    UniqueConstraint("software_id", "version"),
)

# A release wanted on a fleet or on a device.
deployments = Table(
    "deployments",
    metadata,
    _id(),
    # RESTRICT: software that is wanted somewhere is not deleted.
    _reference("software_id", "software.id", ondelete="RESTRICT"),
    _reference("release_id", "releases.id", ondelete="RESTRICT"),
    _reference("fleet_id", "fleets.id", ondelete="CASCADE", nullable=True),
    _reference("device_id", "devices.id", ondelete="CASCADE", nullable=True),
    Column("version", Text, nullable=False),
    Column("pinned", Boolean, nullable=False, server_default=text("false")),
    Column("status", Text, nullable=False),
    Column("detail", Text),
    Column("env_vars", Json),
    *_times(),
    CheckConstraint("(fleet_id IS NULL) <> (device_id IS NULL)", name="one_target"),
    CheckConstraint("status IN ('pending', 'deployed', 'failed')", name="status"),
    UniqueConstraint("software_id", "fleet_id"),
    UniqueConstraint("software_id", "device_id"),
    Index(None, "software_id"),
    Index(None, "fleet_id"),
    Index(None, "device_id"),
    Index(None, "release_id"),
)

# How far one device has come with one deployment.
deployment_states = Table(
    "deployment_states",
    metadata,
    Column(
        "deployment_id", Uuid(as_uuid=False), ForeignKey("deployments.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column(
        "device_id", Uuid(as_uuid=False), ForeignKey("devices.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("revision", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("detail", Text),
    _time("updated_at"),
    CheckConstraint("status IN ('pending', 'updating', 'deployed', 'failed')", name="status"),
    Index(None, "device_id"),
)  # fmt: skip

exposed_services = Table(
    "exposed_services",
    metadata,
    _id(),
    _reference("device_id", "devices.id", ondelete="CASCADE"),
    Column("name", Text, nullable=False),
    Column("container_name", Text, nullable=False),
    Column("internal_port", Integer, nullable=False),
    Column("external_port", Integer),
    Column("protocol", Text, nullable=False, server_default="http"),
    Column("url_path", Text),
    Column("auth_required", Boolean, nullable=False, server_default=text("true")),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    *_times(),
    CheckConstraint("internal_port BETWEEN 1 AND 65535", name="internal_port"),
    UniqueConstraint("device_id", "name"),
    Index(None, "device_id"),
)

# ---- what happened ---------------------------------------------------------

# Append-only: nothing updates or deletes a row, so nothing references another table.
audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    _time("at"),
    Column("actor_kind", Text, nullable=False),  # "user", "device", "system"
    Column("actor_id", Text),
    Column("actor_name", Text),
    Column("action", Text, nullable=False),
    Column("target_kind", Text),
    Column("target_id", Text),
    Column("detail", Json),
    Column("address", Text),
    Index(None, "at"),
    Index(None, "target_kind", "target_id"),
)
