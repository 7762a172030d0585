"""Patients, their count in slots, and the outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

COUNT = """
CREATE FUNCTION count_patients() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO patient_count AS c (slot, total) SELECT pg_backend_pid() % 64, count(*) FROM changed
    ON CONFLICT (slot) DO UPDATE SET total = c.total + excluded.total;
  ELSE
    INSERT INTO patient_count AS c (slot, total) SELECT pg_backend_pid() % 64, -count(*) FROM changed
    ON CONFLICT (slot) DO UPDATE SET total = c.total + excluded.total;
  END IF;
  RETURN NULL;
END $$
"""
INSERTED = """
CREATE TRIGGER count_inserted AFTER INSERT ON patient
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_patients()
"""
DELETED = """
CREATE TRIGGER count_deleted AFTER DELETE ON patient
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_patients()
"""


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_table(
        "patient",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("name_key", sa.Text(collation="C"), nullable=False),
        sa.Column("email", sa.String(255), nullable=False),
        sa.Column("email_key", sa.Text(collation="C"), nullable=False),
        sa.Column("phone", sa.String(64)),
        sa.Column("gender", sa.String(16)),
        sa.Column("address", sa.String(255), nullable=False),
        sa.Column("date_of_birth", sa.Date, nullable=False),
        sa.Column("registered_date", sa.Date, nullable=False),
        sa.Column("billing_status", sa.String(16), nullable=False),
        sa.Column("billing_requested_at", sa.DateTime(timezone=True)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("email_key", name="uq_patient_email_key"),
        sa.CheckConstraint("billing_status IN ('PENDING', 'ACTIVE')", name="ck_patient_billing_status"),
    )
    for column in ("name_key", "email_key", "date_of_birth", "registered_date", "created_at"):
        op.create_index(f"ix_patient_{column}", "patient", [column, "id"])
    op.create_index(
        "ix_patient_name_search",
        "patient",
        ["name_key"],
        postgresql_using="gin",
        postgresql_ops={"name_key": "gin_trgm_ops"},
    )
    op.create_index(
        "ix_patient_pending", "patient", ["created_at"], postgresql_where=sa.text("billing_status = 'PENDING'")
    )
    op.create_table(
        "patient_count",
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("total", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("aggregate_type", sa.String(64), nullable=False),
        sa.Column("aggregate_id", sa.Uuid, nullable=False),
        sa.Column("aggregate_version", sa.Integer, nullable=False),
        sa.Column("topic", sa.String(200), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("type", sa.String(200), nullable=False),
        sa.Column("payload", JSONB),
        sa.Column("headers", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    for statement in (COUNT, INSERTED, DELETED):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("outbox")
    op.drop_table("patient")
    op.drop_table("patient_count")
    op.execute("DROP FUNCTION count_patients()")
