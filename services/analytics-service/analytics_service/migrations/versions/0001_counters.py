"""Counters, recent events, what sinks still have to get, and the inbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "event_count",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("type", sa.String(200), primary_key=True),
        sa.Column("total", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "recent_event",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("type", sa.String(200), nullable=False),
        sa.Column("subject_id", sa.String(200), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_recent_event_occurred_at", "recent_event", ["occurred_at", "event_id"])
    op.create_table(
        "sink_message",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("sink", sa.String(32), nullable=False),
        sa.Column("event", JSONB, nullable=False),
    )
    op.create_index("ix_sink_message_sink", "sink_message", ["sink", "id"])
    op.create_table(
        "inbox",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    for table in ("inbox", "sink_message", "recent_event", "event_count"):
        op.drop_table(table)
