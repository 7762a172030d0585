"""`python -m patient_service.republish`: after a restore, every patient is told anew, ahead of what was told before.

A restored patient has an older version than the events that Kafka still holds, and a projection only moves forward: it
would show the name of then until the patient had caught up, edit by edit. So every version leaps, in one transaction
with an event for each patient. Entity tags from before name nothing afterwards.
"""

import asyncio
from uuid import UUID

import sqlalchemy as sa
from chassis import logs, outbox
from chassis.db import Database
from chassis.evictions import Evictions
from chassis.migrations import Migrations
from chassis.statement import Statement
from chassis.transaction import Transaction
from healthcare_contracts import topics

from patient_service.models import patient
from patient_service.schemas import patient_event
from patient_service.service import event_of
from patient_service.settings import Settings

LEAP = 1_000_000
"""More edits than a patient sees between a backup and its restore; two thousand restores fit in a version."""

_BATCH = 500
_NEXT = sa.select(patient.c.id).where(patient.c.id > sa.bindparam("after")).order_by(patient.c.id)
_RAISE = Statement(
    sa.update(patient)
    .where(patient.c.id.in_(_NEXT.limit(sa.bindparam("limit"))))
    .values(version=patient.c.version + LEAP, keyed_version=patient.c.keyed_version + LEAP)
    .returning(*patient.c)
)


async def republish(tx: Transaction) -> int:
    """Raises the version of every patient and tells everybody; how many there are."""
    count, after = 0, UUID(int=0)
    await Evictions(tx).forget_epoch()
    while rows := await tx.fetch_all(_RAISE, after=after, limit=_BATCH):
        told = [event_of(topics.PATIENT_UPDATED, row["id"], row["version"], patient_event(row)) for row in rows]
        await outbox.publish_all(tx, told)
        count, after = count + len(rows), max(row["id"] for row in rows)
    return count


async def _main(settings: Settings) -> None:
    await Migrations(settings, "patient_service").migrate()  # a backup may be older than this image
    database = Database(settings)
    await database.start()
    try:
        async with database.transaction() as tx:
            print(f"{await republish(tx)} patients are told anew")  # noqa: T201 - a person is waiting
    finally:
        await database.stop()


if __name__ == "__main__":
    found = Settings.from_environ()
    logs.configure(found.service_name, "warning")
    asyncio.run(_main(found))
