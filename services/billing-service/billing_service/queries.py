"""Billing's reads."""

from uuid import UUID

import sqlalchemy as sa
from chassis.errors import NotFound
from chassis.statement import Statement
from chassis.transaction import Reader
from sqlmodel import col

from billing_service.models import Account
from billing_service.schemas import AccountRead

_BY_PATIENT = Statement(sa.select(Account).where(col(Account.patient_id) == sa.bindparam("patient_id")))


async def account_of(reads: Reader, patient_id: UUID) -> AccountRead:
    """The account of a patient; raises NotFound."""
    row = await reads.fetch_one(_BY_PATIENT, patient_id=patient_id)
    if row is None:
        raise NotFound("billing account")
    return AccountRead(
        account_id=row["id"], patient_id=row["patient_id"], status=row["status"], created_at=row["created_at"]
    )
