"""Appointments, the read model of patients, the count in slots, and the outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

COUNT = """
CREATE FUNCTION count_appointments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO appointment_count AS c (slot, total)
  SELECT pg_backend_pid() % 64, CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END FROM changed
  ON CONFLICT (slot) DO UPDATE SET total = c.total + excluded.total;
  RETURN NULL;
END $$
"""
INSERTED = """
CREATE TRIGGER count_inserted AFTER INSERT ON appointment
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_appointments()
"""
DELETED = """
CREATE TRIGGER count_deleted AFTER DELETE ON appointment
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_appointments()
"""


def upgrade() -> None:
    op.create_table(
        "appointment",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("patient_id", sa.Uuid, nullable=False),
        sa.Column("start_time", sa.DateTime, nullable=False),
        sa.Column("end_time", sa.DateTime, nullable=False),
        sa.Column("notes", sa.Text),
        sa.Column("status", sa.String(32), nullable=False, server_default="SCHEDULED"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime, nullable=False, server_default=sa.func.now()),
    )
    op.create_index("idx_appointment_patient_id", "appointment", ["patient_id"])
    for column in ("start_time", "end_time", "status", "created_at"):
        op.create_index(f"ix_appointment_{column}", "appointment", [column, "id"])
    op.create_table(
        "cached_patient",
        sa.Column("patient_id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.String(255)),
        sa.Column("name_key", sa.Text(collation="C")),
        sa.Column("email", sa.String(255)),
        sa.Column("phone", sa.String(64)),
        sa.Column("address", sa.String(255)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("deleted_at", sa.DateTime),
        sa.Column("updated_at", sa.DateTime, nullable=False, server_default=sa.func.now()),
    )
    op.create_index("ix_cached_patient_name_key", "cached_patient", ["name_key", "patient_id"])
    op.create_table(
        "appointment_count",
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
    for table in ("outbox", "appointment", "appointment_count", "cached_patient"):
        op.drop_table(table)
    op.execute("DROP FUNCTION count_appointments()")
