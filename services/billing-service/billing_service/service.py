"""Billing's writes: an account is opened once and, once closed, never opened again."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis import logs, outbox
from chassis.events import Event
from chassis.ids import new_id
from chassis.statement import Statement
from chassis.transaction import Transaction
from healthcare_contracts import topics
from healthcare_contracts.events import BillingAccountCreatedData
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from billing_service.models import ACTIVE, CLOSED, Account

log = logs.logger(__name__)

ACCOUNT_CREATED = "billing.account.created"

_new_account = insert(Account)
_OPEN = Statement(_new_account.on_conflict_do_nothing(index_elements=["patient_id"]))
_CLOSE = Statement(_new_account.on_conflict_do_update(index_elements=["patient_id"], set_={"status": CLOSED}))
_LOCK = Statement(sa.select(Account).where(col(Account.patient_id) == sa.bindparam("patient_id")).with_for_update())


@dataclass(frozen=True, slots=True)
class Opening:
    """An account, and whether this call made it."""

    account_id: UUID
    created: bool


async def open_account(tx: Transaction, patient_id: UUID) -> Opening:
    """The patient's one account, made if there is none; a closed one stays closed.

    Says `billing.account.created` for every active account asked for, also one that existed: whoever asks again has
    missed the answer. The event's id belongs to the account, so those who count see one event.
    """
    account_id, now = new_id(), datetime.now(UTC)
    if await tx.execute(_OPEN, id=account_id, patient_id=patient_id, status=ACTIVE, created_at=now):
        await outbox.publish(tx, _created(account_id, patient_id, now))
        log.info("billing account opened", patient_id=str(patient_id), account_id=str(account_id))
        return Opening(account_id, created=True)
    # Locked, so that the event keeps its place among the account's others. A concurrent call was waited for above.
    account: Any = await tx.fetch_one(_LOCK, patient_id=patient_id)
    if account["status"] == ACTIVE:
        await outbox.publish(tx, _created(account["id"], patient_id, account["created_at"]))
    return Opening(account["id"], created=False)


async def close_account(tx: Transaction, patient_id: UUID) -> None:
    """Close the account of a deleted patient; one that was never opened is recorded closed.

    Topics overtake each other: the record keeps a late request from opening an account for somebody who is gone.
    """
    await tx.execute(_CLOSE, id=new_id(), patient_id=patient_id, status=CLOSED, created_at=datetime.now(UTC))
    log.info("billing account closed", patient_id=str(patient_id))


def _created(account_id: UUID, patient_id: UUID, created_at: datetime) -> Event:
    data = BillingAccountCreatedData(patient_id=patient_id, account_id=account_id)
    return Event(
        event_id=uuid.uuid5(account_id, ACCOUNT_CREATED),
        type=ACCOUNT_CREATED,
        topic=topics.BILLING_ACCOUNT.name,
        key=str(patient_id),
        aggregate_type="billing-account",
        aggregate_id=account_id,
        aggregate_version=1,
        occurred_at=created_at,
        data=data.model_dump(mode="json", by_alias=True),
    )
