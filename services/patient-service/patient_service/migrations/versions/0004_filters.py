"""Indexes of what patients are filtered by."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ZEROS = "\u0660\u06f0\u0966\u09e6\u0e50\uff10"
_DIGITS = "".join(chr(ord(zero) + value) for zero in _ZEROS for value in range(10))
PHONE_DIGITS = f"regexp_replace(translate(phone, '{_DIGITS}', '{'0123456789' * 6}'), '[^0123456789]', '', 'g')"


def upgrade() -> None:
    op.create_index("ix_patient_phone_digits", "patient", [sa.text(PHONE_DIGITS), "id"])
    op.create_index("ix_patient_billing_status", "patient", ["billing_status", "id"])


def downgrade() -> None:
    op.drop_index("ix_patient_phone_digits", "patient")
    op.drop_index("ix_patient_billing_status", "patient")
