"""The tables of the appointments' database: the write model, and the read model of patients beside it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from chassis import evictions
from chassis.outbox import OutboxMessage
from sqlmodel import Field, SQLModel

LONGEST = timedelta(hours=24)
"""How long an appointment may be; of those from before there was a limit, ix_appointment_long has the longer ones."""
LONGEST_SQL: Any = sa.literal_column("interval '24 hours'", sa.Interval)


class Status(StrEnum):
    """The states of an appointment."""

    SCHEDULED = "SCHEDULED"
    CONFIRMED = "CONFIRMED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    NO_SHOW = "NO_SHOW"


class Appointment(SQLModel, table=True):
    """An appointment; start and end are local times, created and updated are UTC without saying so.

    `patient_version`: that of the cached patient when `version` was written, NULL when there was none.
    """

    __tablename__ = "appointment"
    __table_args__ = (
        sa.Index("idx_appointment_patient_id", "patient_id"),
        sa.Index("ix_appointment_start_time", "start_time", "id"),
        sa.Index("ix_appointment_end_time", "end_time", "id"),
        sa.Index("ix_appointment_status", "status", "id"),
        sa.Index("ix_appointment_created_at", "created_at", "id"),
        sa.Index(
            "ix_appointment_long", "start_time", postgresql_where=sa.text(f"end_time - start_time > {LONGEST_SQL}")
        ),
    )

    id: UUID = Field(primary_key=True)
    patient_id: UUID
    start_time: datetime = Field(sa_column=sa.Column(sa.DateTime, nullable=False))
    end_time: datetime = Field(sa_column=sa.Column(sa.DateTime, nullable=False))
    notes: str | None = Field(sa_column=sa.Column(sa.Text))
    status: str = Field(sa_column=sa.Column(sa.String(32), nullable=False, server_default=Status.SCHEDULED))
    version: int
    patient_version: int | None = Field(sa_column=sa.Column(sa.Integer))
    created_at: datetime = Field(sa_column=sa.Column(sa.DateTime, nullable=False, server_default=sa.func.now()))
    updated_at: datetime = Field(sa_column=sa.Column(sa.DateTime, nullable=False, server_default=sa.func.now()))


class CachedPatient(SQLModel, table=True):
    """What is shown of a patient beside an appointment. After a deletion only id, version and deleted_at are left."""

    __tablename__ = "cached_patient"
    __table_args__ = (sa.Index("ix_cached_patient_name_key", "name_key", "patient_id"),)

    patient_id: UUID = Field(primary_key=True)
    name: str | None = Field(sa_column=sa.Column(sa.String(255)))
    name_key: str | None = Field(sa_column=sa.Column(sa.Text(collation="C")))
    email: str | None = Field(sa_column=sa.Column(sa.String(255)))
    phone: str | None = Field(sa_column=sa.Column(sa.String(64)))
    address: str | None = Field(sa_column=sa.Column(sa.String(255)))
    version: int
    deleted_at: datetime | None = Field(sa_column=sa.Column(sa.DateTime))
    updated_at: datetime = Field(sa_column=sa.Column(sa.DateTime, nullable=False, server_default=sa.func.now()))


class AppointmentCount(SQLModel, table=True):
    """How many appointments there are, in slots: a trigger counts in the slot of its connection."""

    __tablename__ = "appointment_count"

    slot: int = Field(sa_column=sa.Column(sa.Integer, primary_key=True, autoincrement=False))
    total: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))


appointment = cast(sa.Table, Appointment.__table__)  # type: ignore[attr-defined]  # every table class has one
cached_patient = cast(sa.Table, CachedPatient.__table__)  # type: ignore[attr-defined]
appointment_count = cast(sa.Table, AppointmentCount.__table__)  # type: ignore[attr-defined]

TABLES = (Appointment, CachedPatient, AppointmentCount, OutboxMessage, *evictions.TABLES)
