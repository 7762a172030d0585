"""Appointments that are longer than any may be now, found apart: all others begin at most a day before they end."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index(
        "ix_appointment_long",
        "appointment",
        ["start_time"],
        postgresql_where=sa.text("end_time - start_time > interval '24 hours'"),
    )


def downgrade() -> None:
    op.drop_index("ix_appointment_long", "appointment")
