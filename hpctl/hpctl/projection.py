"""Rebuilding appointment-service's read model of patients from Kafka, while it is being read and written.

The compacted topics hold at least the newest event of every patient, so reading them from offset 0 is enough. The
service's own projection function applies the events, and nothing ever moves backward: of each patient only the newest
event is applied, deletions come first (a lost tombstone must not let the patient appear for a moment), and a row that
has the newest version already is written again, should its content have been damaged.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import pydantic
import sqlalchemy as sa
from appointment_service import projection
from appointment_service.models import cached_patient
from appointment_service.schemas import AppointmentRead
from appointment_service.service import refresh
from appointment_service.settings import Settings
from chassis import logs
from chassis.cache import Cache
from chassis.db import Database
from chassis.errors import Poison
from chassis.received import Received, read
from chassis.statement import Statement
from chassis.topiclog import TopicLog
from chassis.transaction import Transaction
from healthcare_contracts import topics
from healthcare_contracts.events import PatientData

from hpctl.environment import environment
from hpctl.kafka import connected
from hpctl.layout import Layout, service_named
from hpctl.report import console

_BATCH = 100

# One version lower, the row lets its own newest event through the projection's guard.
_REOPEN = Statement(
    sa.update(cached_patient)
    .values(version=cached_patient.c.version - 1)
    .where(cached_patient.c.patient_id == sa.bindparam("patient"))
    .where(cached_patient.c.version == sa.bindparam("newest"))
    .where(cached_patient.c.deleted_at.is_(None))
)


@dataclass
class Tally:
    """What a rebuild did: events read, rows that were missing or behind, rows written again, messages not readable."""

    events: int = 0
    repaired: int = 0
    renewed: int = 0
    skipped: int = 0


async def rebuild(layout: Layout) -> Tally:
    """Read every event from offset 0 and bring the projection up to it; prints and returns the tally."""
    logs.configure("hpctl", "error")
    tally = Tally()
    async with connected(layout) as log, _service(layout) as (database, cache):
        async for events in _batches(_events(log, topics.PATIENT_DELETED, tally)):
            async with database.transaction() as tx:
                for event in events:
                    tally.repaired += await projection.apply(tx, event)
                tx.after_commit(refresh(cache))
        newest = await _newest(log, tally)
        for topic in (topics.PATIENT_CREATED, topics.PATIENT_UPDATED):
            async for events in _batches(_events(log, topic, Tally())):
                async with database.transaction() as tx:
                    for event in events:
                        await _renew(tx, event, newest, tally)
                    tx.after_commit(refresh(cache))
    console.print(
        f"read {tally.events} events of {len(newest)} patients from the beginning: {tally.repaired} rows were missing "
        f"or behind, {tally.renewed} were written again, {tally.skipped} messages are not readable"
    )
    return tally


async def _renew(tx: Transaction, event: Received, newest: dict[UUID, int], tally: Tally) -> None:
    patient = PatientData.model_validate(event.data)
    version = _version(event, patient)
    if newest.get(patient.patient_id) != version:
        return
    if await projection.apply(tx, event):
        tally.repaired += 1
    elif await tx.execute(_REOPEN, patient=patient.patient_id, newest=version):
        await projection.apply(tx, event)
        tally.renewed += 1


async def _newest(log: TopicLog, tally: Tally) -> dict[UUID, int]:
    """The newest version of each patient that was created or updated."""
    newest: dict[UUID, int] = {}
    for topic in (topics.PATIENT_CREATED, topics.PATIENT_UPDATED):
        async for event in _events(log, topic, tally):
            patient = PatientData.model_validate(event.data)
            newest[patient.patient_id] = max(_version(event, patient), newest.get(patient.patient_id, -1))
    return newest


def _version(event: Received, patient: PatientData) -> int:
    return patient.version if patient.version is not None else int(event.type != topics.PATIENT_CREATED.name)


async def _events(log: TopicLog, topic: topics.Topic, tally: Tally) -> AsyncIterator[Received]:
    """What the topic holds at this moment; later events are the live consumer's."""
    for partition, (first, end) in (await log.bounds(topic.name)).items():
        async for record in log.read(partition, first, end):
            if record.value is None:
                continue
            try:
                event = read(record, topic)
                projection.row(event)
            except (Poison, pydantic.ValidationError):
                tally.skipped += 1  # it lies with the dead letters
                continue
            tally.events += 1
            yield event


async def _batches(events: AsyncIterator[Received]) -> AsyncIterator[list[Received]]:
    batch: list[Received] = []
    async for event in events:
        batch.append(event)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@asynccontextmanager
async def _service(layout: Layout) -> AsyncIterator[tuple[Database, Cache]]:
    settings = Settings.from_environ(environment(layout, service_named("appointment-service")))
    database = Database(settings)
    cache = Cache(settings, database, AppointmentRead)
    await database.start()
    await cache.start()
    try:
        yield database, cache
    finally:
        await cache.stop()
        await database.stop()
