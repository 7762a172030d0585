"""What goes over the wire: appointments as clients write them, and with their patient as clients read them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from chassis import inputs
from chassis.inputs import WholeNumber
from chassis.openapi import example_page
from healthcare_contracts.events import AppointmentData
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from appointment_service.models import Status
from appointment_service.times import LocalDateTime

Notes = Annotated[str, StringConstraints(strip_whitespace=True, max_length=10_000), inputs.Notes]


class AppointmentUpdate(BaseModel):
    """A whole appointment that replaces the one there is; without a status it keeps its own."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {
                    "patientId": "123e4567-e89b-12d3-a456-426614174000",
                    "startTime": "2026-05-20T09:00:00",
                    "endTime": "2026-05-20T09:30:00",
                    "notes": "first visit",
                }
            ]
        },
    )

    patient_id: UUID
    start_time: LocalDateTime
    end_time: LocalDateTime
    notes: Notes | None = None
    status: Status | None = None
    version: WholeNumber | None = Field(None, ge=1)


class AppointmentCreate(AppointmentUpdate):
    """A new appointment: SCHEDULED, whatever else is possible later."""


_BOOKED: dict[str, Any] = {
    "id": "019e3a3c-7a10-7c3e-9b1f-0c5a3f6b2d11",
    "patientId": "123e4567-e89b-12d3-a456-426614174000",
    "startTime": "2026-05-20T09:00:00",
    "endTime": "2026-05-20T09:30:00",
    "notes": "first visit",
    "status": "SCHEDULED",
    "version": 1,
    "createdAt": "2026-05-19T08:30:00Z",
    "updatedAt": "2026-05-19T08:30:00Z",
    "patient": {
        "patientId": "123e4567-e89b-12d3-a456-426614174000",
        "name": "John Doe",
        "email": "john@example.com",
        "phone": "+1 555 0100",
        "address": "123 Main St",
        "updatedAt": "2026-05-19T08:29:58Z",
    },
    "patientName": "John Doe",
}


class CachedPatientRead(BaseModel):
    """What is shown of a patient; for the documents."""

    model_config = ConfigDict(alias_generator=to_camel)

    patient_id: UUID
    name: str
    email: str | None
    phone: str | None
    address: str | None
    updated_at: datetime


class AppointmentRead(BaseModel):
    """An appointment as clients read it; for the documents."""

    model_config = ConfigDict(alias_generator=to_camel, json_schema_extra={"examples": [_BOOKED]})

    id: UUID
    patient_id: UUID
    start_time: LocalDateTime
    end_time: LocalDateTime
    notes: str | None
    status: Status
    version: int
    created_at: datetime
    updated_at: datetime
    patient: CachedPatientRead | None
    patient_name: str | None


class AppointmentPage(BaseModel):
    """A page of appointments; for the documents."""

    model_config = ConfigDict(json_schema_extra={"examples": [example_page(_BOOKED, "startTime,asc")]})

    content: list[AppointmentRead]
    page: int
    size: int
    totalElements: int
    totalPages: int
    sort: list[str]
    hasNext: bool
    hasPrevious: bool


def appointment_json(row: Any) -> bytes:
    """A row of appointment joined with cached_patient as its JSON."""
    return orjson.dumps(appointment_view(row), option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)


def appointment_view(row: Any) -> dict[str, Any]:
    """The same as plain objects; start and end are local and so already text, other times are UTC."""
    name = row["patient_name"]
    return {
        "id": row["id"],
        "patientId": row["patient_id"],
        "startTime": row["start_time"].isoformat(),
        "endTime": row["end_time"].isoformat(),
        "notes": row["notes"],
        "status": row["status"],
        "version": row["version"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
        "patient": None
        if name is None
        else {
            "patientId": row["patient_id"],
            "name": name,
            "email": row["patient_email"] or None,
            "phone": row["patient_phone"],
            "address": row["patient_address"],
            "updatedAt": row["patient_updated_at"],
        },
        "patientName": name,
    }


def appointment_event(row: Any) -> dict[str, Any]:
    """A row of the appointment table as the data of its events."""
    data = AppointmentData(
        appointment_id=row["id"],
        patient_id=row["patient_id"],
        start_time=row["start_time"],
        end_time=row["end_time"],
        status=row["status"],
        version=row["version"],
    )
    return data.model_dump(mode="json", by_alias=True)
