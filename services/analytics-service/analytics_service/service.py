"""Counting: each event once, whatever Kafka repeats."""

from collections.abc import Iterable
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from chassis import logs
from chassis.received import Received
from chassis.statement import Statement
from chassis.transaction import Transaction
from sqlalchemy.dialects.postgresql import insert

from analytics_service.models import event_count, sink_message

log = logs.logger(__name__)

_counted = insert(event_count).values(day=sa.bindparam("day"), type=sa.bindparam("type"), total=1)
_COUNT = Statement(
    _counted.on_conflict_do_update(index_elements=["day", "type"], set_={"total": event_count.c.total + 1})
)
_QUEUE = Statement(sa.insert(sink_message).values(sink=sa.bindparam("sink"), event=sa.bindparam("event")))


async def count_event(tx: Transaction, event: Received, sinks: Iterable[str]) -> None:
    """Counts the event on its day and queues it for each sink, without what is personal in it."""
    await tx.execute(_COUNT, day=event.occurred_at.astimezone(UTC).date(), type=event.type)
    for sink in sinks:
        await tx.execute(_QUEUE, sink=sink, event=impersonal(event))
    log.info("event counted", type=event.type, event_id=str(event.event_id))


def impersonal(event: Received) -> dict[str, Any]:
    """What analytics keeps of an event: `{eventId,type,occurredAt,subjectId}`."""
    return {
        "eventId": str(event.event_id),
        "type": event.type,
        "occurredAt": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "subjectId": event.key,
    }
