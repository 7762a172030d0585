"""Evictions of the cache that Redis has not acknowledged yet, and the epoch of its entries (ADR 13)."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "cache_eviction",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("cache", sa.String(64), nullable=False),
        sa.Column("entry_keys", ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "cache_epoch",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("epoch", sa.String(32), nullable=False),
    )
    op.execute("INSERT INTO cache_epoch (id, identity, epoch) VALUES (1, '', '')")


def downgrade() -> None:
    op.drop_table("cache_epoch")
    op.drop_table("cache_eviction")
