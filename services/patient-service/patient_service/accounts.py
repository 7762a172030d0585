"""Billing accounts as the patients' side sees them: PENDING until billing says that there is one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis import logs, outbox
from chassis.cache import Cache
from chassis.events import Event
from chassis.evictions import RECORD, recorded
from chassis.statement import Statement
from chassis.transaction import Transaction
from healthcare_contracts import topics
from healthcare_contracts.events import BillingAccountRequestedData

from patient_service.models import ACTIVE, PENDING, patient
from patient_service.queries import CACHE
from patient_service.service import evict

log = logs.logger(__name__)


def _pending_among() -> sa.ColumnElement[bool]:
    ids = sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))
    return (patient.c.id == sa.any_(ids)) & (patient.c.billing_status == PENDING)


_ACTIVATE = Statement(
    recorded(
        sa.update(patient)
        .where(_pending_among())
        .values(billing_status=sa.bindparam("status"))
        .returning(patient.c.id),
        CACHE,
        "id",
    )
)
_OVERDUE = Statement(
    sa.select(patient)
    .where(
        patient.c.billing_status == PENDING,
        sa.func.coalesce(patient.c.billing_requested_at, patient.c.created_at) < sa.bindparam("before"),
    )
    .order_by(patient.c.created_at)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_STILL_PENDING = Statement(sa.select(patient.c.id).where(_pending_among()).with_for_update(read=True))
_REQUESTED = Statement(
    sa.update(patient).where(_pending_among()).values(billing_requested_at=sa.bindparam("at")).returning(patient.c.id)
)


async def activate(tx: Transaction, cache: Cache, ids: Sequence[UUID]) -> None:
    """Their billing accounts exist: PENDING becomes ACTIVE. No new version and no event; only the cache is told."""
    rows = await tx.fetch_all(_ACTIVATE, ids=list(ids), status=ACTIVE)
    if rows:
        tx.after_commit(evict(cache, [row["id"] for row in rows], rows[0][RECORD]))
    for row in rows:
        log.info("billing account active", patient_id=str(row["id"]))


async def request_accounts(tx: Transaction, rows: Sequence[Any]) -> None:
    """Asks billing for the accounts by event, because it could not be called.

    Nothing is noted on the patients: until the first sweep their creation says how long they have been waiting, and an
    update would write every index a second time.
    """
    await _publish(tx, rows, await tx.fetch_all(_STILL_PENDING, ids=[row["id"] for row in rows]))


async def request_overdue_accounts(tx: Transaction, before: datetime, limit: int) -> int:
    """Asks again for the accounts of patients that are PENDING since before then; how many."""
    rows = await tx.fetch_all(_OVERDUE, before=before, limit=limit)
    ids = [row["id"] for row in rows]
    await _publish(tx, rows, await tx.fetch_all(_REQUESTED, ids=ids, at=datetime.now(UTC)))
    return len(rows)


async def _publish(tx: Transaction, rows: Sequence[Any], pending: Sequence[Any]) -> None:
    ids = {row["id"] for row in pending}
    await outbox.publish_all(tx, [_request(row) for row in rows if row["id"] in ids])


def _request(row: Any) -> Event:
    wanted = BillingAccountRequestedData(patient_id=row["id"], name=row["name"], email=row["email"])
    return Event(
        type="billing.account.requested",
        topic=topics.BILLING_ACCOUNT.name,
        key=str(row["id"]),
        aggregate_type="patient",
        aggregate_id=row["id"],
        aggregate_version=row["version"],
        data=wanted.model_dump(mode="json", by_alias=True),
    )
