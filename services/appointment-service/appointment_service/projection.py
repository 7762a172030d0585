"""The read model of patients: follows patient.created, patient.updated and patient.deleted, and only ever moves
forward.

A rebuild reads the topics from offset 0 and calls `apply` for every event, in a transaction of its own, while reads
and the live consumer go on: the version guard makes the order and the repetition irrelevant.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis import logs
from chassis.errors import Poison
from chassis.received import Received
from chassis.statement import Statement
from chassis.text import sort_key
from chassis.transaction import Reader
from healthcare_contracts import topics
from healthcare_contracts.events import PatientData, PatientDeletedData
from prometheus_client import Counter
from sqlalchemy.dialects.postgresql import insert

from appointment_service.models import cached_patient

log = logs.logger(__name__)

FOLLOWED = (topics.PATIENT_CREATED, topics.PATIENT_UPDATED, topics.PATIENT_DELETED)
# Compaction and a restore skip versions, too: what an event may do is never decided by it.
LEAPS = Counter(
    "projection_version_leaps_total", "Events that moved a row by more than one version", ["group", "topic"]
)
for _topic in FOLLOWED:  # from 0 on, or nobody would see the first one as an increase
    LEAPS.labels(topics.APPOINTMENTS, _topic.name)

_NAMES = ("name", "name_key", "email", "phone", "address", "version", "deleted_at", "updated_at")
_before = cached_patient.alias("before")
# A subquery in RETURNING sees the table as it was when the statement began.
_id: sa.ColumnElement[UUID] = sa.literal_column("cached_patient.patient_id")
_held = sa.select(_before.c.version).where(_before.c.patient_id == _id).scalar_subquery().label("held")
_insert = insert(cached_patient).values({name: sa.bindparam(name) for name in ("patient_id", *_NAMES)})
_UPSERT = Statement(
    _insert.on_conflict_do_update(
        index_elements=["patient_id"],
        set_={name: _insert.excluded[name] for name in _NAMES},
        # A tombstone never gives way, whatever a late event says of its version.
        where=(cached_patient.c.version < _insert.excluded.version) & cached_patient.c.deleted_at.is_(None),
    ).returning(_held)
)
_BURY = Statement(
    _insert.on_conflict_do_update(
        index_elements=["patient_id"],
        set_={name: _insert.excluded[name] for name in _NAMES},
        where=cached_patient.c.deleted_at.is_(None),
    ).returning(_held)
)

DELETED = topics.PATIENT_DELETED.name
LARGEST_VERSION = 2**31 - 1


def row(event: Received) -> dict[str, Any]:
    """What an event makes of its patient's row.

    Raises:
        pydantic.ValidationError: the event's data is not what its schema says.
        Poison: it is, and no table can hold it.
    """
    values = _gone(event) if event.type == DELETED else _there(event)
    if not 0 <= values["version"] <= LARGEST_VERSION:
        raise Poison("the version is out of range")
    if any("\0" in text for text in values.values() if isinstance(text, str)):
        raise Poison("a text contains NUL")
    return values


async def apply(database: Reader, event: Received) -> bool:
    """Brings the projection up to one event by one statement, in a transaction or as one; whether anything changed.

    Raises:
        pydantic.ValidationError, Poison: as `row`.
    """
    values = row(event)
    changed = await database.fetch_one(_BURY if event.type == DELETED else _UPSERT, **values)
    if changed is None:
        return False
    if changed["held"] is not None and values["version"] > changed["held"] + 1:
        LEAPS.labels(topics.APPOINTMENTS, event.topic).inc()
    log.info("projection updated", patient_id=str(values["patient_id"]), version=values["version"], type=event.type)
    return True


def _there(event: Received) -> dict[str, Any]:
    patient = PatientData.model_validate(event.data)
    return {
        "patient_id": patient.patient_id,
        "name": patient.name[:255],
        "name_key": sort_key(patient.name),
        "email": patient.email[:255] or None,
        "phone": patient.phone and patient.phone[:64],
        "address": patient.address and patient.address[:255],
        "version": _version(patient.version, event),
        "deleted_at": None,
        "updated_at": _naive(event.occurred_at),
    }


def _gone(event: Received) -> dict[str, Any]:
    patient = PatientDeletedData.model_validate(event.data)
    when = _naive(event.occurred_at)
    return {
        "patient_id": patient.patient_id,
        **dict.fromkeys(("name", "name_key", "email", "phone", "address")),
        "version": _version(patient.version, event),
        "deleted_at": when,
        "updated_at": when,
    }


def _version(version: int | None, event: Received) -> int:
    """Events from before versions existed: creation is the first, an update is older than any that has one."""
    return version if version is not None else int(event.type != "patient.created")


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
