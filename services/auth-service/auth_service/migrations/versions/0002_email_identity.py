"""`email_key` is the identity of the address, and no longer its order in lists (ADR 17).

Works with the release before, whose key goes on to be unique under the same constraint. For nearly every address both
keys are the same text; a trigger sees to the rest while both releases register, and auth_service.keys makes the keys
of the rows that the release before wrote.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

FUNCTION = """
CREATE FUNCTION keep_user_keys() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  former text := coalesce(NEW.email_former_key, NEW.email_key);
  taken boolean;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(former, 17));
  IF NEW.email_former_key IS NULL THEN
    taken := EXISTS (SELECT FROM users WHERE email_former_key = former AND email_former_key <> email_key);
  ELSE
    taken := EXISTS (SELECT FROM users WHERE email_key = former AND email_former_key IS NULL);
  END IF;
  IF taken THEN
    RAISE unique_violation USING CONSTRAINT = 'uq_users_email_key', MESSAGE = 'the address is taken';
  END IF;
  RETURN NEW;
END $$
"""
INSERTED = """
CREATE TRIGGER keep_keys_inserted BEFORE INSERT ON users FOR EACH ROW
  WHEN (NEW.email_former_key IS NULL OR NEW.email_former_key <> NEW.email_key) EXECUTE FUNCTION keep_user_keys()
"""


def upgrade() -> None:
    op.add_column("users", sa.Column("email_former_key", sa.Text(collation="C")))
    op.create_index("ix_users_unkeyed", "users", ["id"], postgresql_where=sa.text("email_former_key IS NULL"))
    op.create_index(
        "ix_users_former_key",
        "users",
        ["email_former_key"],
        postgresql_where=sa.text("email_former_key <> email_key"),
    )
    op.execute(FUNCTION)
    op.execute(INSERTED)


def downgrade() -> None:
    op.execute("DROP TRIGGER keep_keys_inserted ON users")
    op.execute("DROP FUNCTION keep_user_keys()")
    op.drop_index("ix_users_former_key", "users")
    op.drop_index("ix_users_unkeyed", "users")
    op.drop_column("users", "email_former_key")
