"""Which version of the patient an appointment was written with: decides its entity tag."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("appointment", sa.Column("patient_version", sa.Integer))


def downgrade() -> None:
    op.drop_column("appointment", "patient_version")
