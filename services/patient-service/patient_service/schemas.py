"""What goes over the wire: patients as clients write and read them."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from chassis.dates import latest_date
from chassis.inputs import Email, Lines, OneLine, WholeNumber
from chassis.openapi import example_page
from healthcare_contracts.events import PatientAttributes, PatientData
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

EARLIEST_BIRTH = date(1850, 1, 1)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _iso(value: object) -> object:
    # pydantic also takes seconds since 1970, and a midnight
    if not isinstance(value, date) and not (isinstance(value, str) and _DATE.fullmatch(value)):
        raise ValueError("must be a date such as 1990-01-01")
    return value


def _birth(day: date) -> date:
    if day > latest_date(datetime.now(UTC)):
        raise ValueError("must not be in the future")
    if day < EARLIEST_BIRTH:
        raise ValueError(f"must not be before {EARLIEST_BIRTH.year}")
    return day


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), OneLine]
Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), Lines]
Phone = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), OneLine]
Gender = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16), OneLine]
Day = Annotated[date, BeforeValidator(_iso)]
BirthDate = Annotated[Day, AfterValidator(_birth)]


class PatientCreate(BaseModel):
    """A new patient; unknown and read-only fields are ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        str_strip_whitespace=True,
        json_schema_extra={
            "examples": [
                {"name": "John Doe", "email": "john@example.com", "address": "123 Main St", "dateOfBirth": "1990-01-01"}
            ]
        },
    )

    name: Name
    email: Email | None = None
    address: Address
    date_of_birth: BirthDate
    phone: Phone | None = None
    gender: Gender | None = None


class PatientUpdate(PatientCreate):
    """A whole patient that replaces the one there is; `version`, when given, has to be the current one."""

    version: WholeNumber | None = Field(None, ge=1)


_JOHN: dict[str, Any] = {
    "id": "123e4567-e89b-12d3-a456-426614174000",
    "name": "John Doe",
    "email": "john@example.com",
    "phone": "+1 555 0100",
    "gender": "male",
    "address": "123 Main St",
    "dateOfBirth": "1990-01-01",
    "registeredDate": "2026-05-19",
    "billingStatus": "ACTIVE",
    "version": 1,
    "createdAt": "2026-05-19T08:30:00Z",
    "updatedAt": "2026-05-19T08:30:00Z",
}


class PatientRead(BaseModel):
    """A patient as clients read it; for the documents."""

    model_config = ConfigDict(alias_generator=to_camel, json_schema_extra={"examples": [_JOHN]})

    id: UUID
    name: str
    email: str | None
    phone: str | None
    gender: str | None
    address: str
    date_of_birth: date
    registered_date: date
    billing_status: str
    version: int
    created_at: datetime
    updated_at: datetime


class PatientPage(BaseModel):
    """A page of patients; for the documents."""

    model_config = ConfigDict(json_schema_extra={"examples": [example_page(_JOHN, "name,asc")]})

    content: list[PatientRead]
    page: int
    size: int
    totalElements: int
    totalPages: int
    sort: list[str]
    hasNext: bool
    hasPrevious: bool


def patient_json(row: Any) -> bytes:
    """A row of the patient table as its JSON."""
    return orjson.dumps(
        {
            "id": row["id"],
            "name": row["name"],
            "email": row["email"] or None,
            "phone": row["phone"],
            "gender": row["gender"],
            "address": row["address"],
            "dateOfBirth": row["date_of_birth"],
            "registeredDate": row["registered_date"],
            "billingStatus": row["billing_status"],
            "version": row["version"],
            "createdAt": row["created_at"],
            "updatedAt": row["updated_at"],
        },
        option=orjson.OPT_UTC_Z,
    )


def patient_event(row: Any) -> dict[str, Any]:
    """A row of the patient table as the data of its events. Who has no email has the text "" there."""
    data = PatientData(
        patient_id=row["id"],
        name=row["name"],
        email=row["email"],
        phone=row["phone"],
        address=row["address"],
        attributes=PatientAttributes(gender=row["gender"], dob=row["date_of_birth"]),
        version=row["version"],
    )
    return data.model_dump(mode="json", by_alias=True)
