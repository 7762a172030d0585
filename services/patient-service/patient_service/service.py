"""Writes, and the rules they keep."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis import outbox, telemetry
from chassis.cache import Cache
from chassis.conditional import check_if_match
from chassis.db import Statement, Transaction
from chassis.errors import Conflict, NotFound
from chassis.events import Event
from chassis.ids import new_id
from chassis.text import sort_key
from healthcare_contracts import topics
from healthcare_contracts.events import BillingAccountRequestedData, PatientDeletedData

from patient_service.models import ACTIVE, PENDING, UNIQUE_EMAIL, patient
from patient_service.queries import CACHE
from patient_service.schemas import PatientCreate, PatientUpdate, patient_event

log = telemetry.logger(__name__)

_TAKEN = {UNIQUE_EMAIL: "email"}
_EDITED = ("name", "name_key", "email", "email_key", "phone", "gender", "address", "date_of_birth", "updated_at")


def _pending_among() -> sa.ColumnElement[bool]:
    ids = sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))
    return (patient.c.id == sa.any_(ids)) & (patient.c.billing_status == PENDING)


_INSERT = Statement(sa.insert(patient).returning(*patient.c), conflicts=_TAKEN)
_LOCK = Statement(sa.select(patient.c.version).where(patient.c.id == sa.bindparam("id")).with_for_update())
_UPDATE = Statement(
    sa.update(patient)
    .where(patient.c.id == sa.bindparam("patient_id"))
    .values({name: sa.bindparam(name) for name in _EDITED} | {"version": patient.c.version + 1})
    .returning(*patient.c),
    conflicts=_TAKEN,
)
_DELETE = Statement(sa.delete(patient).where(patient.c.id == sa.bindparam("id")).returning(patient.c.version))
_ACTIVATE = Statement(
    sa.update(patient).where(_pending_among()).values(billing_status=sa.bindparam("status")).returning(patient.c.id)
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
_REQUESTED = Statement(
    sa.update(patient).where(_pending_among()).values(billing_requested_at=sa.bindparam("at")).returning(patient.c.id)
)

Provision = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Condition:
    """What a write depends on: the If-Match header."""

    if_match: str | None = None


async def register_patient(tx: Transaction, new: PatientCreate, provision: Provision, *, id: UUID | None = None) -> Any:
    """Inserts the patient and tells everybody; `provision` gets the row after the commit. The new row.

    Raises:
        Conflict: the email is taken.
    """
    now = datetime.now(UTC)
    row = await tx.fetch_one(
        _INSERT,
        id=id or new_id(),
        **_columns(new, now),
        registered_date=now.date(),
        billing_status=PENDING,
        billing_requested_at=None,
        version=1,
        created_at=now,
    )
    assert row is not None  # noqa: S101 - RETURNING answers
    await outbox.publish(tx, _event(topics.PATIENT_CREATED, row["id"], row["version"], patient_event(row)))

    async def provisioned() -> None:
        provision(row)

    tx.after_commit(provisioned)
    return row


async def update_patient(
    tx: Transaction, cache: Cache, id: UUID, change: PatientUpdate, condition: Condition = Condition()
) -> Any:
    """Replaces the patient and tells everybody. The row as it is now.

    Raises:
        NotFound, PreconditionFailed (If-Match), Conflict (the body's version, or the email).
    """
    current = await tx.fetch_value(_LOCK, id=id)
    if current is None:
        raise NotFound("patient")
    check_if_match(condition.if_match, current)
    if change.version not in (None, current):
        raise Conflict("the patient has changed since that version", "version")
    row = await tx.fetch_one(_UPDATE, patient_id=id, **_columns(change, datetime.now(UTC)))
    assert row is not None  # noqa: S101 - it is locked
    await outbox.publish(tx, _event(topics.PATIENT_UPDATED, id, row["version"], patient_event(row)))
    tx.after_commit(_evicting(cache, id))
    log.info("patient updated", patient_id=str(id), version=row["version"])
    return row


async def delete_patient(tx: Transaction, cache: Cache, id: UUID, condition: Condition = Condition()) -> None:
    """Removes the patient, tells everybody, and clears its data from the compacted topics by null values.

    Raises:
        NotFound, PreconditionFailed.
    """
    current = await tx.fetch_value(_LOCK, id=id)
    if current is None:
        raise NotFound("patient")
    check_if_match(condition.if_match, current)
    version = await tx.fetch_value(_DELETE, id=id) + 1
    gone = PatientDeletedData(patient_id=id, version=version).model_dump(mode="json", by_alias=True)
    await outbox.publish(tx, _event(topics.PATIENT_DELETED, id, version, gone))
    for topic in (topics.PATIENT_CREATED, topics.PATIENT_UPDATED):
        await outbox.publish(tx, _event(topic, id, version, None))
    tx.after_commit(_evicting(cache, id))
    log.info("patient deleted", patient_id=str(id), version=version)


async def activate(tx: Transaction, cache: Cache, ids: Sequence[UUID]) -> None:
    """Their billing accounts exist: PENDING becomes ACTIVE. No new version and no event; only the cache is told."""
    for row in await tx.fetch_all(_ACTIVATE, ids=list(ids), status=ACTIVE):
        tx.after_commit(_evicting(cache, row["id"]))
        log.info("billing account active", patient_id=str(row["id"]))


async def request_accounts(tx: Transaction, rows: Sequence[Any]) -> None:
    """Asks billing for the accounts by event, because it could not be called."""
    ids = [row["id"] for row in rows]
    pending = {row["id"] for row in await tx.fetch_all(_REQUESTED, ids=ids, at=datetime.now(UTC))}
    for row in rows:
        if row["id"] in pending:
            await outbox.publish(tx, _request(row))


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


async def request_overdue_accounts(tx: Transaction, before: datetime, limit: int) -> int:
    """Asks again for the accounts of patients that are PENDING since before then; how many."""
    rows = await tx.fetch_all(_OVERDUE, before=before, limit=limit)
    await request_accounts(tx, rows)
    return len(rows)


def evict(cache: Cache, id: UUID) -> Callable[[], Awaitable[None]]:
    """An after-commit callback that drops the patient's cache entry."""
    return _evicting(cache, id)


def _evicting(cache: Cache, id: UUID) -> Callable[[], Awaitable[None]]:
    async def evicted() -> None:
        await cache.evict(CACHE, str(id))

    return evicted


def _columns(person: PatientCreate, now: datetime) -> dict[str, Any]:
    return {
        "name": person.name,
        "name_key": sort_key(person.name),
        "email": person.email,
        "email_key": sort_key(person.email),
        "phone": person.phone,
        "gender": person.gender,
        "address": person.address,
        "date_of_birth": person.date_of_birth,
        "updated_at": now,
    }


def _event(topic: topics.Topic, id: UUID, version: int, data: dict[str, Any] | None) -> Event:
    return Event(
        type=topic.types[0],
        topic=topic.name,
        key=str(id),
        aggregate_type="patient",
        aggregate_id=id,
        aggregate_version=version,
        data=data,
    )
