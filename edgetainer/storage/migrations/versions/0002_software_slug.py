"""Software keeps the name that its stacks have on devices, whatever people call it later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_name = op.f
_software = sa.table("software", sa.column("id", sa.Uuid(as_uuid=False)), sa.column("slug"))


def upgrade() -> None:
    op.add_column("software", sa.Column("slug", sa.Text(), nullable=True))
    # Nothing could be deployed under another name before, so any unique one will do.
    connection = op.get_bind()
    for (id_,) in connection.execute(sa.select(_software.c.id)).all():
        connection.execute(
            sa.update(_software).where(_software.c.id == id_).values(slug=f"software-{id_}"[:40])
        )
    with op.batch_alter_table("software") as batch:
        batch.alter_column("slug", existing_type=sa.Text(), nullable=False)
        batch.create_unique_constraint(_name("uq_software_slug"), ["slug"])


def downgrade() -> None:
    with op.batch_alter_table("software") as batch:
        batch.drop_constraint(_name("uq_software_slug"), type_="unique")
        batch.drop_column("slug")
