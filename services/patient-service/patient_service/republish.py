"""`python -m patient_service.republish [--above N]`: publishes every patient anew, after a restore of the database.

A restored patient has an older version than the events that Kafka still holds, and a projection only moves forward: it
would show the name of then until the patient had caught up, edit by edit. So every version leaps beyond the highest of
the database that was replaced (`--above`), of this one, and of the patient topics. Each batch is one transaction with
its events; a run that was interrupted is run again, and leaps further.
"""

import asyncio
from uuid import UUID

import sqlalchemy as sa
from chassis import logs, outbox, versions
from chassis.db import Database
from chassis.evictions import Evictions
from chassis.migrations import Migrations
from chassis.statement import Statement
from healthcare_contracts import topics

from patient_service.models import patient
from patient_service.schemas import patient_event
from patient_service.service import event_of
from patient_service.settings import Settings

TOPICS = (topics.PATIENT_CREATED.name, topics.PATIENT_UPDATED.name, topics.PATIENT_DELETED.name)
_BATCH = 500
_NEXT = sa.select(patient.c.id).where(patient.c.id > sa.bindparam("after")).order_by(patient.c.id)
_RAISED = sa.bindparam("floor", type_=sa.Integer) + patient.c.version % versions.LEAP
_RAISE = Statement(
    sa.update(patient)
    .where(patient.c.id.in_(_NEXT.limit(sa.bindparam("limit"))))
    .values(version=_RAISED, keyed_version=patient.c.keyed_version - patient.c.version + _RAISED)
    .returning(*patient.c)
)
_HIGHEST = Statement(sa.select(sa.func.coalesce(sa.func.max(patient.c.version), 0)))


async def republish(database: Database, floor: int) -> int:
    """Raises every patient's version above `floor` and publishes `patient.updated`; how many patients there are."""
    count, after = 0, UUID(int=0)
    while True:
        async with database.transaction() as tx:
            await Evictions(tx).forget_epoch()
            rows = await tx.fetch_all(_RAISE, after=after, limit=_BATCH, floor=floor)
            events = [event_of(topics.PATIENT_UPDATED, row["id"], row["version"], patient_event(row)) for row in rows]
            await outbox.publish_all(tx, events)
        if not rows:
            return count
        count, after = count + len(rows), max(row["id"] for row in rows)


async def _main(settings: Settings, above: int) -> None:
    await Migrations(settings, "patient_service").migrate()  # a backup may be older than this image
    database = Database(settings)
    await database.start()
    try:
        told = await versions.told(settings, TOPICS)
        if told is None:
            print("Kafka cannot be read: versions leap beyond the database's alone")  # noqa: T201 - a person is waiting
        floor = versions.beyond((above, told or 0, await database.fetch_value(_HIGHEST)))
        print(f"{await republish(database, floor)} patients are published anew, above version {floor}")  # noqa: T201
    finally:
        await database.stop()


if __name__ == "__main__":
    found = Settings.from_environ()
    logs.configure(found.service_name, "warning")
    asyncio.run(_main(found, versions.above()))
