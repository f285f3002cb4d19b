"""The first tables: people, fleets, devices, enrolment, software, deployments, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Said here and not imported: a migration stays what it was when the code moves on.
_UUID = sa.Uuid(as_uuid=False)
_TIME = sa.DateTime(timezone=True)
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_name = op.f


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target_kind", sa.Text(), nullable=True),
        sa.Column("target_id", sa.Text(), nullable=True),
        sa.Column("detail", _JSON, nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=_name("pk_audit")),
    )
    op.create_index(_name("ix_audit_at"), "audit", ["at"], unique=False)
    op.create_index(
        _name("ix_audit_target_kind_target_id"), "audit", ["target_kind", "target_id"], unique=False
    )
    op.create_table(
        "fleets",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=_name("pk_fleets")),
        sa.UniqueConstraint("name", name=_name("uq_fleets_name")),
    )
    op.create_table(
        "software",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("repo_url", sa.Text(), nullable=True),
        sa.Column("current_version", sa.Text(), nullable=True),
        sa.Column("default_env_vars", _JSON, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("source IN ('github', 'manual')", name=_name("ck_software_source")),
        sa.PrimaryKeyConstraint("id", name=_name("pk_software")),
        sa.UniqueConstraint("name", name=_name("uq_software_name")),
    )
    op.create_table(
        "users",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint("role IN ('admin', 'operator', 'viewer')", name=_name("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=_name("pk_users")),
        sa.UniqueConstraint("email", name=_name("uq_users_email")),
        sa.UniqueConstraint("username", name=_name("uq_users_username")),
    )
    op.create_table(
        "devices",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("fleet_id", _UUID, nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("last_seen", _TIME, nullable=True),
        sa.Column("ip_address", sa.Text(), nullable=True),
        sa.Column("os_version", sa.Text(), nullable=True),
        sa.Column("agent_version", sa.Text(), nullable=True),
        sa.Column("hardware_info", _JSON, nullable=True),
        sa.Column("subdomain", sa.Text(), nullable=True),
        sa.Column(
            "subdomain_enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False
        ),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'online', 'offline', 'updating', 'error')",
            name=_name("ck_devices_status"),
        ),
        sa.ForeignKeyConstraint(
            ["fleet_id"], ["fleets.id"], name=_name("fk_devices_fleet_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=_name("pk_devices")),
        sa.UniqueConstraint("device_id", name=_name("uq_devices_device_id")),
        sa.UniqueConstraint("subdomain", name=_name("uq_devices_subdomain")),
    )
    op.create_index(_name("ix_devices_fleet_id"), "devices", ["fleet_id"], unique=False)
    op.create_index(_name("ix_devices_last_seen"), "devices", ["last_seen"], unique=False)
    op.create_index(_name("ix_devices_status"), "devices", ["status"], unique=False)
    op.create_table(
        "refresh_sessions",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("user_id", _UUID, nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("last_used_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=_name("fk_refresh_sessions_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=_name("pk_refresh_sessions")),
    )
    op.create_index(
        _name("ix_refresh_sessions_expires_at"), "refresh_sessions", ["expires_at"], unique=False
    )
    op.create_index(
        _name("ix_refresh_sessions_user_id"), "refresh_sessions", ["user_id"], unique=False
    )
    op.create_table(
        "releases",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("software_id", _UUID, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("docker_compose_yaml", sa.Text(), nullable=False),
        sa.Column("env_defaults", _JSON, nullable=True),
        sa.Column("images", _JSON, nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("created_by", _UUID, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by"], ["users.id"], name=_name("fk_releases_created_by"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["software_id"],
            ["software.id"],
            name=_name("fk_releases_software_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=_name("pk_releases")),
        sa.UniqueConstraint(
            "software_id", "version", name=_name("uq_releases_software_id_version")
        ),
    )
    op.create_table(
        "deployments",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("software_id", _UUID, nullable=False),
        sa.Column("release_id", _UUID, nullable=False),
        sa.Column("fleet_id", _UUID, nullable=True),
        sa.Column("device_id", _UUID, nullable=True),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("pinned", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("env_vars", _JSON, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'deployed', 'failed')", name=_name("ck_deployments_status")
        ),
        sa.CheckConstraint(
            "(fleet_id IS NULL) <> (device_id IS NULL)", name=_name("ck_deployments_one_target")
        ),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name=_name("fk_deployments_device_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["fleet_id"], ["fleets.id"], name=_name("fk_deployments_fleet_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["release_id"],
            ["releases.id"],
            name=_name("fk_deployments_release_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["software_id"],
            ["software.id"],
            name=_name("fk_deployments_software_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=_name("pk_deployments")),
        sa.UniqueConstraint(
            "software_id", "device_id", name=_name("uq_deployments_software_id_device_id")
        ),
        sa.UniqueConstraint(
            "software_id", "fleet_id", name=_name("uq_deployments_software_id_fleet_id")
        ),
    )
    op.create_index(_name("ix_deployments_device_id"), "deployments", ["device_id"], unique=False)
    op.create_index(_name("ix_deployments_fleet_id"), "deployments", ["fleet_id"], unique=False)
    op.create_index(_name("ix_deployments_release_id"), "deployments", ["release_id"], unique=False)
    op.create_index(
        _name("ix_deployments_software_id"), "deployments", ["software_id"], unique=False
    )
    op.create_table(
        "device_keys",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("device_id", _UUID, nullable=False),
        sa.Column("spki_sha256", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name=_name("fk_device_keys_device_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=_name("pk_device_keys")),
        sa.UniqueConstraint("spki_sha256", name=_name("uq_device_keys_spki_sha256")),
    )
    op.create_index(_name("ix_device_keys_device_id"), "device_keys", ["device_id"], unique=False)
    op.create_table(
        "device_reports",
        sa.Column("device_id", _UUID, nullable=False),
        sa.Column("metrics", _JSON, nullable=True),
        sa.Column("metrics_at", _TIME, nullable=True),
        sa.Column("containers", _JSON, nullable=True),
        sa.Column("containers_at", _TIME, nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name=_name("fk_device_reports_device_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("device_id", name=_name("pk_device_reports")),
    )
    op.create_table(
        "enrolment_tokens",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("fleet_id", _UUID, nullable=True),
        sa.Column("device_id", _UUID, nullable=True),
        sa.Column("created_by", _UUID, nullable=True),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.CheckConstraint(
            "uses_left >= 0 AND uses_left <= uses", name=_name("ck_enrolment_tokens_uses_left")
        ),
        sa.ForeignKeyConstraint(
            ["created_by"],
            ["users.id"],
            name=_name("fk_enrolment_tokens_created_by"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name=_name("fk_enrolment_tokens_device_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["fleet_id"],
            ["fleets.id"],
            name=_name("fk_enrolment_tokens_fleet_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=_name("pk_enrolment_tokens")),
        sa.UniqueConstraint("token_hash", name=_name("uq_enrolment_tokens_token_hash")),
    )
    op.create_table(
        "exposed_services",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("device_id", _UUID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("container_name", sa.Text(), nullable=False),
        sa.Column("internal_port", sa.Integer(), nullable=False),
        sa.Column("external_port", sa.Integer(), nullable=True),
        sa.Column("protocol", sa.Text(), server_default="http", nullable=False),
        sa.Column("url_path", sa.Text(), nullable=True),
        sa.Column("auth_required", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint(
            "internal_port BETWEEN 1 AND 65535", name=_name("ck_exposed_services_internal_port")
        ),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name=_name("fk_exposed_services_device_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=_name("pk_exposed_services")),
        sa.UniqueConstraint("device_id", "name", name=_name("uq_exposed_services_device_id_name")),
    )
    op.create_index(
        _name("ix_exposed_services_device_id"), "exposed_services", ["device_id"], unique=False
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("session_id", _UUID, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("used_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["refresh_sessions.id"],
            name=_name("fk_refresh_tokens_session_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=_name("pk_refresh_tokens")),
    )
    op.create_index(
        _name("ix_refresh_tokens_session_id"), "refresh_tokens", ["session_id"], unique=False
    )
    op.create_table(
        "deployment_states",
        sa.Column("deployment_id", _UUID, nullable=False),
        sa.Column("device_id", _UUID, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("updated_at", _TIME, nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'updating', 'deployed', 'failed')",
            name=_name("ck_deployment_states_status"),
        ),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployments.id"],
            name=_name("fk_deployment_states_deployment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["device_id"],
            ["devices.id"],
            name=_name("fk_deployment_states_device_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("deployment_id", "device_id", name=_name("pk_deployment_states")),
    )
    op.create_index(
        _name("ix_deployment_states_device_id"), "deployment_states", ["device_id"], unique=False
    )
    op.create_table(
        "enrolments",
        sa.Column("token_id", _UUID, nullable=False),
        sa.Column("spki_sha256", sa.Text(), nullable=False),
        sa.Column("device_id", _UUID, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["devices.id"], name=_name("fk_enrolments_device_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["token_id"],
            ["enrolment_tokens.id"],
            name=_name("fk_enrolments_token_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_id", "spki_sha256", name=_name("pk_enrolments")),
    )
    op.create_index(_name("ix_enrolments_device_id"), "enrolments", ["device_id"], unique=False)


def downgrade() -> None:
    op.drop_index(_name("ix_enrolments_device_id"), table_name="enrolments")
    op.drop_table("enrolments")
    op.drop_index(_name("ix_deployment_states_device_id"), table_name="deployment_states")
    op.drop_table("deployment_states")
    op.drop_index(_name("ix_refresh_tokens_session_id"), table_name="refresh_tokens")
    op.drop_table("refresh_tokens")
    op.drop_index(_name("ix_exposed_services_device_id"), table_name="exposed_services")
    op.drop_table("exposed_services")
    op.drop_table("enrolment_tokens")
    op.drop_table("device_reports")
    op.drop_index(_name("ix_device_keys_device_id"), table_name="device_keys")
    op.drop_table("device_keys")
    op.drop_index(_name("ix_deployments_software_id"), table_name="deployments")
    op.drop_index(_name("ix_deployments_release_id"), table_name="deployments")
    op.drop_index(_name("ix_deployments_fleet_id"), table_name="deployments")
    op.drop_index(_name("ix_deployments_device_id"), table_name="deployments")
    op.drop_table("deployments")
    op.drop_table("releases")
    op.drop_index(_name("ix_refresh_sessions_user_id"), table_name="refresh_sessions")
    op.drop_index(_name("ix_refresh_sessions_expires_at"), table_name="refresh_sessions")
    op.drop_table("refresh_sessions")
    op.drop_index(_name("ix_devices_status"), table_name="devices")
    op.drop_index(_name("ix_devices_last_seen"), table_name="devices")
    op.drop_index(_name("ix_devices_fleet_id"), table_name="devices")
    op.drop_table("devices")
    op.drop_table("users")
    op.drop_table("software")
    op.drop_table("fleets")
    op.drop_index(_name("ix_audit_target_kind_target_id"), table_name="audit")
    op.drop_index(_name("ix_audit_at"), table_name="audit")
    op.drop_table("audit")
