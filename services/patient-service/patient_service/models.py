"""The tables of the patients' database."""

from datetime import date, datetime
from typing import Literal, cast
from uuid import UUID

import sqlalchemy as sa
from chassis import evictions
from chassis.outbox import OutboxMessage
from sqlmodel import Field, SQLModel

PENDING = "PENDING"
ACTIVE = "ACTIVE"

BillingStatus = Literal["PENDING", "ACTIVE"]

UNIQUE_EMAIL = "uq_patient_email_key"

_DIGITS = "0123456789"
_ZEROS = "\u0660\u06f0\u0966\u09e6\u0e50\uff10"
"""Arabic-Indic and its eastern form, Devanagari, Bengali, Thai, full width."""
_OTHER_DIGITS = "".join(chr(ord(zero) + value) for zero in _ZEROS for value in range(10))
_AS_ASCII = str.maketrans(_OTHER_DIGITS, _DIGITS * len(_ZEROS))
# An expression instead of a column: rows that the release before writes have it, too, and no table is written anew.
PHONE_DIGITS = (
    f"regexp_replace(translate(phone, '{_OTHER_DIGITS}', '{_DIGITS * len(_ZEROS)}'), '[^{_DIGITS}]', '', 'g')"
)
"""SQL of what `digits` makes of a phone number."""


def digits(phone: str) -> str:
    """The digits of a phone number alone, in ASCII: what two ways to write one have in common."""
    return "".join(each for each in phone.translate(_AS_ASCII) if each in _DIGITS)


class Patient(SQLModel, table=True):
    """A patient. Text that is sorted, searched or unique has normalised keys beside it, alike on every build (ADR 17).

    Where the name stands in a list says `name_key`, what finds it `name_search`; whose mailbox an address is says
    `email_key`, where it stands in a list `email_order`. Who has no address has the empty text, and no keys of it.
    `keyed_version` is the version that the keys were made of: NULL where the release before wrote last, which knows
    neither `name_search` nor `email_order`, and whose `email_key` is the order.
    `version` counts what clients can see change; the billing status is not among it.
    """

    __tablename__ = "patient"
    __table_args__ = (
        sa.UniqueConstraint("email_key", name=UNIQUE_EMAIL),
        sa.CheckConstraint("billing_status IN ('PENDING', 'ACTIVE')", name="ck_patient_billing_status"),
        sa.Index("ix_patient_name_key", "name_key", "id"),
        sa.Index("ix_patient_email_order", sa.text("coalesce(email_order, email_key)"), "id"),
        sa.Index("ix_patient_date_of_birth", "date_of_birth", "id"),
        sa.Index("ix_patient_registered_date", "registered_date", "id"),
        sa.Index("ix_patient_created_at", "created_at", "id"),
        sa.Index(
            "ix_patient_name_search",
            "name_search",
            postgresql_using="gin",
            postgresql_ops={"name_search": "gin_trgm_ops"},
        ),
        sa.Index("ix_patient_phone_digits", sa.text(PHONE_DIGITS), "id"),
        sa.Index("ix_patient_billing_status", "billing_status", "id"),
        sa.Index("ix_patient_unkeyed", "id", postgresql_where=sa.text("keyed_version IS NULL")),
        sa.Index("ix_patient_pending", "created_at", postgresql_where=sa.text("billing_status = 'PENDING'")),
    )

    id: UUID = Field(primary_key=True)
    name: str = Field(sa_column=sa.Column(sa.String(100), nullable=False))
    name_key: str = Field(sa_column=sa.Column(sa.Text(collation="C"), nullable=False))
    name_search: str | None = Field(sa_column=sa.Column(sa.Text(collation="C")))
    email: str = Field(sa_column=sa.Column(sa.String(255), nullable=False))
    email_key: str | None = Field(sa_column=sa.Column(sa.Text(collation="C")))
    email_order: str | None = Field(sa_column=sa.Column(sa.Text(collation="C")))
    phone: str | None = Field(sa_column=sa.Column(sa.String(64)))
    gender: str | None = Field(sa_column=sa.Column(sa.String(16)))
    address: str = Field(sa_column=sa.Column(sa.String(255), nullable=False))
    date_of_birth: date
    registered_date: date
    billing_status: str = Field(sa_column=sa.Column(sa.String(16), nullable=False))
    billing_requested_at: datetime | None = Field(sa_column=sa.Column(sa.DateTime(timezone=True)))
    version: int
    keyed_version: int | None = Field(sa_column=sa.Column(sa.Integer))
    created_at: datetime = Field(sa_column=sa.Column(sa.DateTime(timezone=True), nullable=False))
    updated_at: datetime = Field(sa_column=sa.Column(sa.DateTime(timezone=True), nullable=False))


class PatientCount(SQLModel, table=True):
    """How many patients there are, in slots: a trigger counts in the slot of its connection.

    One row for all would make every insert wait for the one before; counting ten million rows costs seconds.
    """

    __tablename__ = "patient_count"

    slot: int = Field(sa_column=sa.Column(sa.Integer, primary_key=True, autoincrement=False))
    total: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))


patient = cast(sa.Table, Patient.__table__)  # type: ignore[attr-defined]  # every table class has one
patient_count = cast(sa.Table, PatientCount.__table__)  # type: ignore[attr-defined]

TABLES = (Patient, PatientCount, OutboxMessage, *evictions.TABLES)
