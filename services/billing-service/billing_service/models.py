"""The tables of billing's database: one account for each patient, and no personal data."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from chassis.outbox import OutboxMessage
from sqlmodel import Field, SQLModel

ACTIVE = "ACTIVE"
CLOSED = "CLOSED"


class Account(SQLModel, table=True):
    """A patient's billing account, ACTIVE or CLOSED; it stays readable after the patient is gone."""

    __tablename__ = "billing_account"
    __table_args__ = (
        sa.UniqueConstraint("patient_id", name="uq_billing_account_patient_id"),
        sa.CheckConstraint("status IN ('ACTIVE', 'CLOSED')", name="ck_billing_account_status"),
    )

    id: UUID = Field(primary_key=True)
    patient_id: UUID
    status: str = Field(sa_column=sa.Column(sa.String(16), nullable=False))
    created_at: datetime = Field(sa_column=sa.Column(sa.DateTime(timezone=True), nullable=False))


TABLES = (Account, OutboxMessage)
