"""What goes over billing's wires."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from chassis import http
from chassis.inputs import AllSeen, OneLine, Plain
from healthcare_contracts.billing_service_pb2 import CreateAccountRequest
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel


class _Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class AccountCreate(_Wire):
    """Who an account is asked for. Name and address are checked and forgotten: billing keeps no personal data.

    The email is empty where the patient has none.
    """

    patient_id: UUID
    email: Annotated[
        str,
        StringConstraints(strip_whitespace=True, max_length=255, pattern=r"^([^@\s]+@[^@\s]+)?$"),
        Plain,
        AllSeen,
    ]
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), OneLine]

    @classmethod
    def read(cls, request: CreateAccountRequest) -> Self:
        """The checked request; raises Invalid."""
        try:
            return cls.model_validate({"patientId": request.patientId, "email": request.email, "name": request.name})
        except ValidationError as error:
            raise http.invalid(error) from None


class AccountRead(_Wire):
    """A billing account: `{accountId,patientId,status,createdAt}`; the time is UTC."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "accountId": "019e3a3c-7a10-7c3e-9b1f-0c5a3f6b2d11",
                    "patientId": "123e4567-e89b-12d3-a456-426614174000",
                    "status": "ACTIVE",
                    "createdAt": "2026-05-19T08:30:00Z",
                }
            ]
        }
    )

    account_id: UUID
    patient_id: UUID
    status: str
    created_at: datetime
