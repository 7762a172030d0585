"""The tables of the analytics database: counters, recent events, and what sinks still have to get. No personal data."""

from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from chassis.inbox import InboxMessage
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class EventCount(SQLModel, table=True):
    """How many events of a type happened on a day (UTC)."""

    __tablename__ = "event_count"

    day: date = Field(primary_key=True)
    type: str = Field(sa_column=sa.Column(sa.String(200), primary_key=True))
    total: int = Field(sa_column=sa.Column(sa.BigInteger, nullable=False))


class RecentEvent(SQLModel, table=True):
    """An event without what is personal in it, for the PostgreSQL sink."""

    __tablename__ = "recent_event"
    __table_args__ = (sa.Index("ix_recent_event_occurred_at", "occurred_at", "event_id"),)

    event_id: UUID = Field(primary_key=True)
    type: str = Field(sa_column=sa.Column(sa.String(200), nullable=False))
    subject_id: str = Field(sa_column=sa.Column(sa.String(200), nullable=False))
    occurred_at: datetime = Field(sa_column=sa.Column(sa.DateTime(timezone=True), nullable=False))


class SinkMessage(SQLModel, table=True):
    """An event that a sink has not taken yet; written with the counter, deleted when the sink has it."""

    __tablename__ = "sink_message"
    __table_args__ = (sa.Index("ix_sink_message_sink", "sink", "id"),)

    id: int | None = Field(default=None, sa_column=sa.Column(sa.BigInteger, sa.Identity(), primary_key=True))
    sink: str = Field(sa_column=sa.Column(sa.String(32), nullable=False))
    event: dict[str, Any] = Field(sa_column=sa.Column(JSONB, nullable=False))


event_count = cast(sa.Table, EventCount.__table__)  # type: ignore[attr-defined]  # every table class has one
recent_event = cast(sa.Table, RecentEvent.__table__)  # type: ignore[attr-defined]
sink_message = cast(sa.Table, SinkMessage.__table__)  # type: ignore[attr-defined]

TABLES = (EventCount, RecentEvent, SinkMessage, InboxMessage)
