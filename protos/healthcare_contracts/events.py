"""Every event's `data`, as it goes over Kafka inside `{eventId,type,occurredAt,data}`.

These models are the source of the JSON Schemas under protos/events/, one folder per type and one file per version.
Readers ignore fields they do not know, so a field may be added when it is optional; nothing may be removed,
renamed, retyped or made required. `version` counts the client-visible edits of an aggregate and orders its events;
events written before it existed have none.
"""

from datetime import date, datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

Version = Annotated[int | None, Field(ge=1, description="client-visible edits so far; absent in old events")]
# https://spec.openapis.org/registry/format/date-time-local: a reader that is told date-time would expect an offset
LocalDateTime = Annotated[datetime, WithJsonSchema({"type": "string", "format": "date-time-local"})]


Email = Annotated[str, Field(description="empty where the patient has none")]


class Data(BaseModel):
    """The base: camelCase on the wire, unknown fields ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")
    event_types: ClassVar[tuple[str, ...]] = ()


class PatientAttributes(Data):
    """What is not needed to address a patient."""

    gender: str | None = None
    dob: date | None = None


class PatientData(Data):
    """`patient.created`, `patient.updated`: the whole patient after the change."""

    event_types = ("patient.created", "patient.updated")

    patient_id: UUID
    name: str
    email: Email
    phone: str | None = None
    address: str | None = None
    attributes: PatientAttributes = Field(default_factory=PatientAttributes)
    version: Version = None


class PatientDeletedData(Data):
    """`patient.deleted`: only who, and after which version."""

    event_types = ("patient.deleted",)

    patient_id: UUID
    version: Version = None


class AppointmentData(Data):
    """`appointment.booked|updated|cancelled`: no personal data; times are local."""

    event_types = ("appointment.booked", "appointment.updated", "appointment.cancelled")

    appointment_id: UUID
    patient_id: UUID
    start_time: LocalDateTime
    end_time: LocalDateTime
    status: str
    version: Version = None


class BillingAccountRequestedData(Data):
    """`billing.account.requested` on `billing-account`: the call could not be made, please open the account."""

    event_types = ("billing.account.requested",)

    patient_id: UUID
    name: str
    email: Email


class BillingAccountCreatedData(Data):
    """`billing.account.created` on `billing-account`."""

    event_types = ("billing.account.created",)

    patient_id: UUID
    account_id: UUID
    status: Literal["ACTIVE"] = "ACTIVE"


class AuthAuditData(Data):
    """`auth.login.succeeded|failed`, `auth.user.registered` on `auth.audit`; no address, no password.

    `user_id` is absent when a login named nobody we know.
    """

    event_types = ("auth.login.succeeded", "auth.login.failed", "auth.user.registered")

    user_id: UUID | None = None
    role: str | None = None
    reason: str | None = None


class Envelope(Data):
    """What is around every event's data."""

    event_id: UUID
    type: str
    occurred_at: AwareDatetime
    data: dict[str, object]


MODELS: dict[str, type[Data]] = {
    name: model
    for model in (
        PatientData,
        PatientDeletedData,
        AppointmentData,
        BillingAccountRequestedData,
        BillingAccountCreatedData,
        AuthAuditData,
    )
    for name in model.event_types
}
"""Event type → the model of its data."""
