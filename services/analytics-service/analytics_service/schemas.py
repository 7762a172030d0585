"""What goes over the wire; for the documents."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

_DAY: dict[str, Any] = {"day": "2026-05-20", "counts": {"appointment.booked": 1, "patient.created": 2}}
_EVENT: dict[str, Any] = {
    "eventId": "019e3a3c-7a10-7c3e-9b1f-0c5a3f6b2d11",
    "type": "patient.created",
    "subjectId": "123e4567-e89b-12d3-a456-426614174000",
    "occurredAt": "2026-05-20T08:30:00Z",
}


class DayRead(BaseModel):
    """How many events of each type there were on a day (UTC)."""

    day: date
    counts: dict[str, int]


class SummaryRead(BaseModel):
    """All events ever, by type, and those of the last three months by day."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        json_schema_extra={"examples": [{"total": 3, "byType": _DAY["counts"], "byDay": [_DAY]}]},
    )

    total: int
    by_type: dict[str, int]
    by_day: list[DayRead]


class EventRead(BaseModel):
    """One event, without its data."""

    model_config = ConfigDict(alias_generator=to_camel)

    event_id: UUID
    type: str
    subject_id: str
    occurred_at: datetime


class RecentEventsRead(BaseModel):
    """The newest events."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"content": [_EVENT]}]})

    content: list[EventRead]
