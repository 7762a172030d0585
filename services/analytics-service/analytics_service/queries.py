"""Reads: the totals, by type and by day."""

from typing import Any

import sqlalchemy as sa
from chassis.statement import Statement
from chassis.transaction import Reader

from analytics_service.models import event_count, recent_event

DAYS = 92
RECENT = 50

_TOTALS = Statement(
    sa.select(event_count.c.type, sa.func.sum(event_count.c.total).cast(sa.BigInteger).label("total"))
    .group_by(event_count.c.type)
    .order_by(event_count.c.type)
)
_BY_DAY = Statement(
    sa.select(event_count)
    .where(event_count.c.day > sa.func.current_date() - sa.bindparam("days", type_=sa.Integer))
    .order_by(event_count.c.day, event_count.c.type)
)
_RECENT = Statement(
    sa.select(recent_event)
    .order_by(recent_event.c.occurred_at.desc(), recent_event.c.event_id.desc())
    .limit(sa.bindparam("limit"))
)


async def summary(reads: Reader) -> dict[str, Any]:
    """`{total, byType: {type: n}, byDay: [{day, counts: {type: n}}]}`; days of the last three months, in order."""
    totals = {row["type"]: row["total"] for row in await reads.fetch_all(_TOTALS)}
    days: dict[str, dict[str, int]] = {}
    for row in await reads.fetch_all(_BY_DAY, days=DAYS):
        days.setdefault(row["day"].isoformat(), {})[row["type"]] = row["total"]
    by_day = [{"day": day, "counts": counts} for day, counts in days.items()]
    return {"total": sum(totals.values()), "byType": totals, "byDay": by_day}


async def recent_events(reads: Reader) -> dict[str, Any]:
    """`{content: [{eventId,type,subjectId,occurredAt}]}`, newest first; empty without the PostgreSQL sink."""
    rows = await reads.fetch_all(_RECENT, limit=RECENT)
    return {
        "content": [
            {
                "eventId": row["event_id"],
                "type": row["type"],
                "subjectId": row["subject_id"],
                "occurredAt": row["occurred_at"].isoformat().replace("+00:00", "Z"),
            }
            for row in rows
        ]
    }
