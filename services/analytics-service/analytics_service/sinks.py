"""Where events flow to. A sink is an interface of one verb; what it has not taken waits in the database."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from chassis import logs
from chassis.db import Database
from chassis.statement import Statement
from sqlalchemy.dialects.postgresql import insert

from analytics_service.models import recent_event
from analytics_service.settings import Settings

log = logs.logger(__name__)

Event = dict[str, Any]


class Sink(Protocol):
    """Takes batches of `{eventId,type,occurredAt,subjectId}`; a batch may come twice and must then change nothing."""

    name: str

    async def open(self) -> None:
        """Before the first batch, and again after a failure."""

    async def close(self) -> None:
        """After the last."""

    async def deliver(self, batch: Sequence[Event]) -> None:
        """Takes the whole batch, or raises Unavailable: then it comes again."""


class LogSink:
    """One log line for each event."""

    name = "log"

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing is open."""

    async def deliver(self, batch: Sequence[Event]) -> None:
        """Logs ids and types."""
        for event in batch:
            log.info("event", type=event["type"], event_id=event["eventId"], occurred_at=event["occurredAt"])


class PostgresSink:
    """Rows of `recent_event`, by their event id."""

    name = "postgresql"
    _insert = Statement(insert(recent_event).on_conflict_do_nothing(index_elements=["event_id"]))

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self) -> None:
        """The pool is open."""

    async def close(self) -> None:
        """The pool closes itself."""

    async def deliver(self, batch: Sequence[Event]) -> None:
        """Writes the batch in one round trip."""
        rows = [
            {
                "event_id": UUID(event["eventId"]),
                "type": event["type"],
                "subject_id": event["subjectId"],
                "occurred_at": datetime.fromisoformat(event["occurredAt"]),
            }
            for event in batch
        ]
        async with self._database.transaction() as tx:
            await tx.execute_many(self._insert, rows)


def sinks(settings: Settings, database: Database) -> list[Sink]:
    """The sinks that the settings name."""
    known: dict[str, Callable[[], Sink]] = {
        "log": LogSink,
        "postgresql": lambda: PostgresSink(database),
        "s3": lambda: _s3(settings),
        "sns": lambda: _sns(settings),
    }
    return [known[name]() for name in sorted(settings.analytics_sinks)]


def _s3(settings: Settings) -> Sink:
    from analytics_service.s3 import S3Sink  # its client weighs 12 MB, which nobody without S3 should carry

    return S3Sink(settings)


def _sns(settings: Settings) -> Sink:
    from analytics_service.sns import SnsSink

    return SnsSink(settings)
