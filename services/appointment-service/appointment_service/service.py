"""Writes, and the rules they keep."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis import logs, outbox
from chassis.cache import Cache
from chassis.conditional import Conditions
from chassis.errors import Conflict, FieldError, Invalid, NotFound
from chassis.events import Event
from chassis.evictions import RECORD, recorded
from chassis.ids import new_id
from chassis.statement import Statement
from chassis.transaction import Transaction
from healthcare_contracts import topics

from appointment_service.models import Status, appointment, cached_patient
from appointment_service.queries import CACHE
from appointment_service.schemas import AppointmentCreate, AppointmentUpdate, appointment_event
from appointment_service.times import check_lasting

log = logs.logger(__name__)

NEXT = {
    Status.SCHEDULED: {Status.CONFIRMED, Status.CANCELLED, Status.NO_SHOW},
    Status.CONFIRMED: {Status.COMPLETED, Status.CANCELLED, Status.NO_SHOW},
    Status.COMPLETED: set[Status](),
    Status.CANCELLED: set[Status](),
    Status.NO_SHOW: set[Status](),
}
"""Which state may follow which; staying is always allowed."""

_EDITED = ("start_time", "end_time", "notes", "status", "updated_at")
_INSERT = Statement(recorded(sa.insert(appointment).returning(*appointment.c), CACHE))
_PATIENT = Statement(
    sa.select(cached_patient.c.version, cached_patient.c.deleted_at).where(
        cached_patient.c.patient_id == sa.bindparam("patient_id")
    )
)
_SHOWN = (
    sa.select(cached_patient.c.version).where(cached_patient.c.patient_id == appointment.c.patient_id).scalar_subquery()
)
_LOCK = Statement(
    sa.select(appointment, _SHOWN.label("shown_version"))
    .where(appointment.c.id == sa.bindparam("id"))
    .with_for_update()
)
_UPDATE = Statement(
    recorded(
        sa.update(appointment)
        .where(appointment.c.id == sa.bindparam("appointment_id"))
        .values(
            {name: sa.bindparam(name) for name in _EDITED}
            | {"version": appointment.c.version + 1, "patient_version": _SHOWN}
        )
        .returning(*appointment.c),
        CACHE,
    )
)
_DELETE = Statement(
    recorded(
        sa.delete(appointment).where(appointment.c.id == sa.bindparam("id")).returning(appointment.c.id),
        CACHE,
    )
)


async def book_appointment(tx: Transaction, cache: Cache, new: AppointmentCreate) -> UUID:
    """Books; a patient that is not known yet may be known tomorrow. The new id.

    Raises:
        Invalid: the times are wrong, or a status other than SCHEDULED is asked for.
        Conflict: the patient was deleted.
    """
    check_lasting(new.start_time, new.end_time)
    if new.status not in (None, Status.SCHEDULED):
        raise Invalid([FieldError("status", "must be SCHEDULED for a new appointment")])
    shown = await _patient_version(tx, new.patient_id)
    now = datetime.now(UTC).replace(tzinfo=None)
    row = await tx.fetch_one(
        _INSERT,
        id=new_id(),
        patient_id=new.patient_id,
        start_time=new.start_time,
        end_time=new.end_time,
        notes=new.notes,
        status=Status.SCHEDULED.value,
        version=1,
        patient_version=shown,
        created_at=now,
        updated_at=now,
    )
    assert row is not None  # noqa: S101 - RETURNING answers
    await _announce(tx, cache, topics.APPOINTMENT_BOOKED, row)
    id: UUID = row["id"]
    return id


async def change_appointment(
    tx: Transaction, cache: Cache, id: UUID, change: AppointmentUpdate, conditions: Conditions
) -> None:
    """Replaces an appointment; its patient stays.

    Raises:
        NotFound, Invalid (times, patient, conditions), PreconditionFailed, Conflict (version, or a state that cannot
        follow).
    """
    row = await _locked(tx, id, conditions)
    if change.version not in (None, row["version"]):
        raise Conflict("the appointment has changed since that version", "version")
    if change.patient_id != row["patient_id"]:
        raise Invalid([FieldError("patientId", "cannot change")])
    if (change.start_time, change.end_time) != (row["start_time"], row["end_time"]):
        check_lasting(
            change.start_time, change.end_time
        )  # older rows may break the rules, and have to be cancelled all the same
    changed = await tx.fetch_one(
        _UPDATE,
        appointment_id=id,
        start_time=change.start_time,
        end_time=change.end_time,
        notes=change.notes,
        status=_next(Status(row["status"]), change.status).value,
        updated_at=datetime.now(UTC).replace(tzinfo=None),
    )
    assert changed is not None  # noqa: S101 - it is locked
    await _announce(tx, cache, topics.APPOINTMENT_UPDATED, changed)


async def cancel_appointment(tx: Transaction, cache: Cache, id: UUID, conditions: Conditions) -> None:
    """Removes an appointment.

    Raises:
        NotFound, PreconditionFailed, Invalid.
    """
    row = await _locked(tx, id, conditions)
    deleted = await tx.fetch_one(_DELETE, id=id)
    assert deleted is not None  # noqa: S101 - it is locked
    gone = dict(row) | dict(deleted) | {"status": Status.CANCELLED.value, "version": row["version"] + 1}
    await _announce(tx, cache, topics.APPOINTMENT_CANCELLED, gone)


def refresh(cache: Cache, record: int | None = None) -> Callable[[], Awaitable[None]]:
    """An after-commit callback that makes every cached read invalid; `record` as in Cache.evict."""

    async def refreshed() -> None:
        await cache.bump(CACHE, record)

    return refreshed


async def _patient_version(tx: Transaction, id: UUID) -> int | None:
    known = await tx.fetch_one(_PATIENT, patient_id=id)
    if known is not None and known["deleted_at"] is not None:
        raise Conflict("the patient was deleted", "patientId")
    return known and known["version"]


async def _locked(tx: Transaction, id: UUID, conditions: Conditions) -> Any:
    row = await tx.fetch_one(_LOCK, id=id)
    if row is None:
        raise NotFound("appointment")
    conditions.check(row["version"])
    return row


def _next(now: Status, wanted: Status | None) -> Status:
    if wanted is None or wanted == now:
        return now
    if wanted not in NEXT[now]:
        raise Conflict(f"{now} cannot become {wanted}", "status")
    return wanted


async def _announce(tx: Transaction, cache: Cache, topic: topics.Topic, row: Any) -> None:
    event = Event(
        type=topic.types[0],
        topic=topic.name,
        key=str(row["patient_id"]),
        aggregate_type="appointment",
        aggregate_id=row["id"],
        aggregate_version=row["version"],
        data=appointment_event(row),
    )
    await outbox.publish(tx, event)
    tx.after_commit(refresh(cache, row[RECORD]))
    log.info("appointment changed", type=event.type, appointment_id=str(row["id"]), version=row["version"])
