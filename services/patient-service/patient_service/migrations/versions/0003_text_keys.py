"""Keys for search and for the identity of e-mail addresses, and patients without an address.

Works with the release before, which goes on to write its own keys: `email_key` was the order of addresses and unique,
and now is their identity, under the same constraint. For nearly every address both are the same text. A trigger sees
to the rest while both releases write: it marks the rows whose keys have to be made again (`keyed_version` NULL;
patient_service.backfill makes them), and lets no two rows have one address where the two releases' keys of it differ.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

FUNCTION = """
CREATE FUNCTION keep_patient_keys() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  former text := coalesce(NEW.email_order, NEW.email_key);  -- as the release before has it
  taken boolean;
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.version <> OLD.version AND NEW.keyed_version IS NOT DISTINCT FROM OLD.keyed_version THEN
    NEW.keyed_version := NULL;
    NEW.name_search := NULL;
    IF NEW.email = OLD.email THEN
      NEW.email_key := OLD.email_key;
      NEW.email_order := OLD.email_order;
      RETURN NEW;
    END IF;
    NEW.email_order := NULL;
    former := NEW.email_key;
  ELSIF TG_OP = 'UPDATE' AND NEW.email_key IS NOT DISTINCT FROM OLD.email_key THEN
    RETURN NEW;
  END IF;
  IF former IS NULL THEN
    RETURN NEW;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended(former, 17));
  IF NEW.email_order IS NULL THEN
    taken := EXISTS (SELECT FROM patient WHERE coalesce(email_order, email_key) = former
                     AND email_order <> email_key AND id <> NEW.id);
  ELSE
    taken := EXISTS (SELECT FROM patient WHERE email_key = former AND email_order IS NULL AND id <> NEW.id);
  END IF;
  IF taken AND TG_OP = 'INSERT' THEN
    RETURN NULL;  -- as ON CONFLICT DO NOTHING, which both releases say
  ELSIF taken THEN
    RAISE unique_violation USING CONSTRAINT = 'uq_patient_email_key', MESSAGE = 'the address is taken';
  END IF;
  RETURN NEW;
END $$
"""
INSERTED = """
CREATE TRIGGER keep_keys_inserted BEFORE INSERT ON patient FOR EACH ROW
  WHEN (NEW.keyed_version IS NULL OR NEW.email_order <> NEW.email_key) EXECUTE FUNCTION keep_patient_keys()
"""
UPDATED = """
CREATE TRIGGER keep_keys_updated BEFORE UPDATE ON patient FOR EACH ROW
  WHEN ((NEW.version <> OLD.version AND NEW.keyed_version IS NOT DISTINCT FROM OLD.keyed_version)
        OR NEW.email_order <> NEW.email_key) EXECUTE FUNCTION keep_patient_keys()
"""
REMOVED = (
    "DROP TRIGGER keep_keys_inserted ON patient",
    "DROP TRIGGER keep_keys_updated ON patient",
    "DROP FUNCTION keep_patient_keys()",
    # Who has no address needs a key of the release before, or its column could not be NOT NULL again.
    "UPDATE patient SET email_key = coalesce(email_key, id::text) WHERE email_key IS NULL",
)


def upgrade() -> None:
    for column in (
        sa.Column("name_search", sa.Text(collation="C")),
        sa.Column("email_order", sa.Text(collation="C")),
        sa.Column("keyed_version", sa.Integer),
    ):
        op.add_column("patient", column)
    op.alter_column("patient", "email_key", nullable=True)
    op.drop_index("ix_patient_email_key", "patient")
    op.create_index("ix_patient_email_order", "patient", [sa.text("coalesce(email_order, email_key)"), "id"])
    op.drop_index("ix_patient_name_search", "patient")
    _search_index("name_search")
    op.create_index("ix_patient_unkeyed", "patient", ["id"], postgresql_where=sa.text("keyed_version IS NULL"))
    for statement in (FUNCTION, INSERTED, UPDATED):
        op.execute(statement)


def downgrade() -> None:
    for statement in REMOVED:
        op.execute(statement)
    for index in ("ix_patient_unkeyed", "ix_patient_name_search", "ix_patient_email_order"):
        op.drop_index(index, "patient")
    for column in ("keyed_version", "email_order", "name_search"):
        op.drop_column("patient", column)
    op.alter_column("patient", "email_key", nullable=False)
    op.create_index("ix_patient_email_key", "patient", ["email_key", "id"])
    _search_index("name_key")


def _search_index(column: str) -> None:
    op.create_index(
        "ix_patient_name_search",
        "patient",
        [column],
        postgresql_using="gin",
        postgresql_ops={column: "gin_trgm_ops"},
    )
