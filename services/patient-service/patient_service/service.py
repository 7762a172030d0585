"""Writes, and the rules they keep."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis import logs, outbox
from chassis.cache import Cache
from chassis.conditional import Conditions
from chassis.errors import Conflict, NotFound
from chassis.events import Event
from chassis.evictions import RECORD, recorded
from chassis.statement import Statement
from chassis.transaction import Transaction
from healthcare_contracts import topics
from healthcare_contracts.events import PatientDeletedData

from patient_service.keys import COLUMNS as KEYS
from patient_service.keys import displaced, keys_of
from patient_service.models import UNIQUE_EMAIL, patient
from patient_service.queries import CACHE
from patient_service.schemas import PatientCreate, PatientUpdate, patient_event

log = logs.logger(__name__)

TAKEN = {UNIQUE_EMAIL: "email"}
_EDITED = ("name", "email", *KEYS, "phone", "gender", "address", "date_of_birth", "updated_at")
_LOCK = Statement(sa.select(patient.c.version).where(patient.c.id == sa.bindparam("id")).with_for_update())


def _kept_email_key() -> sa.ColumnElement[str]:
    """The address's identity; a row that has its address from before, beside an older one's, keeps its place."""
    wanted = sa.bindparam("email_key", type_=sa.Text)
    return sa.case((patient.c.email_key == displaced(wanted, patient.c.id), patient.c.email_key), else_=wanted)


_UPDATE = Statement(
    recorded(
        sa.update(patient)
        .where(patient.c.id == sa.bindparam("patient_id"))
        .values(
            {name: sa.bindparam(name) for name in _EDITED}
            | {"version": patient.c.version + 1, "keyed_version": patient.c.version + 1, "email_key": _kept_email_key()}
        )
        .returning(*patient.c),
        CACHE,
        "id",
    ),
    conflicts=TAKEN,
)
_DELETE = Statement(
    recorded(
        sa.delete(patient).where(patient.c.id == sa.bindparam("id")).returning(patient.c.id, patient.c.version),
        CACHE,
        "id",
    )
)


async def update_patient(tx: Transaction, cache: Cache, id: UUID, change: PatientUpdate, conditions: Conditions) -> Any:
    """Replaces the patient and tells everybody. The row as it is now.

    Raises:
        NotFound, PreconditionFailed, Invalid (the conditions), Conflict (the body's version, or the email).
    """
    current = await _locked(tx, id, conditions)
    if change.version not in (None, current):
        raise Conflict("the patient has changed since that version", "version")
    row = await tx.fetch_one(_UPDATE, patient_id=id, **columns(change, datetime.now(UTC)))
    assert row is not None  # noqa: S101 - it is locked
    await outbox.publish(tx, event_of(topics.PATIENT_UPDATED, id, row["version"], patient_event(row)))
    tx.after_commit(evict(cache, [id], row[RECORD]))
    log.info("patient updated", patient_id=str(id), version=row["version"])
    return row


async def delete_patient(tx: Transaction, cache: Cache, id: UUID, conditions: Conditions) -> None:
    """Removes the patient, tells everybody, and clears its data from the compacted topics by null values.

    Raises:
        NotFound, PreconditionFailed, Invalid.
    """
    await _locked(tx, id, conditions)
    row = await tx.fetch_one(_DELETE, id=id)
    assert row is not None  # noqa: S101 - it is locked
    version = row["version"] + 1
    gone = PatientDeletedData(patient_id=id, version=version).model_dump(mode="json", by_alias=True)
    await outbox.publish(tx, event_of(topics.PATIENT_DELETED, id, version, gone))
    for topic in (topics.PATIENT_CREATED, topics.PATIENT_UPDATED):
        await outbox.publish(tx, event_of(topic, id, version, None))
    tx.after_commit(evict(cache, [id], row[RECORD]))
    log.info("patient deleted", patient_id=str(id), version=version)


def evict(cache: Cache, ids: Iterable[UUID], record: int | None = None) -> Callable[[], Awaitable[None]]:
    """An after-commit callback that drops the patients' cache entries; `record` as in Cache.evict."""

    async def evicted() -> None:
        await cache.evict(CACHE, *map(str, ids), record=record)

    return evicted


async def _locked(tx: Transaction, id: UUID, conditions: Conditions) -> int:
    current: int | None = await tx.fetch_value(_LOCK, id=id)
    if current is None:
        raise NotFound("patient")
    conditions.check(current)
    return current


def columns(person: PatientCreate, now: datetime) -> dict[str, Any]:
    """The columns that a client writes, with their keys."""
    return {
        "name": person.name,
        "email": person.email or "",
        **keys_of(person.name, person.email or ""),
        "phone": person.phone,
        "gender": person.gender,
        "address": person.address,
        "date_of_birth": person.date_of_birth,
        "updated_at": now,
    }


def event_of(topic: topics.Topic, id: UUID, version: int, data: dict[str, Any] | None) -> Event:
    """The event of a patient; `data` None writes a null value."""
    return Event(
        type=topic.types[0],
        topic=topic.name,
        key=str(id),
        aggregate_type="patient",
        aggregate_id=id,
        aggregate_version=version,
        data=data,
    )
