"""The outbox: an event is a row, written in the transaction that makes it true."""

import asyncio
import weakref
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from chassis import correlation, recent
from chassis.events import Event
from chassis.statement import Statement
from chassis.transaction import Transaction


class OutboxMessage(SQLModel, table=True):
    """One event that Kafka has not acknowledged yet; the relay deletes it afterwards."""

    __tablename__ = "outbox"

    id: int | None = Field(default=None, sa_column=sa.Column(sa.BigInteger, sa.Identity(), primary_key=True))
    event_id: UUID
    aggregate_type: str = Field(sa_column=sa.Column(sa.String(64), nullable=False))
    aggregate_id: UUID
    aggregate_version: int
    topic: str = Field(sa_column=sa.Column(sa.String(200), nullable=False))
    key: str = Field(sa_column=sa.Column(sa.String(200), nullable=False))
    type: str = Field(sa_column=sa.Column(sa.String(200), nullable=False))
    payload: dict[str, Any] | None = Field(sa_column=sa.Column(JSONB(none_as_null=True)))
    headers: dict[str, str] = Field(sa_column=sa.Column(JSONB, nullable=False))
    created_at: datetime = Field(
        sa_column=sa.Column(sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
    )


_COLUMNS = (
    "event_id",
    "aggregate_type",
    "aggregate_id",
    "aggregate_version",
    "topic",
    "key",
    "type",
    "payload",
    "headers",
)
_INSERT = Statement(sa.insert(OutboxMessage).values({name: sa.bindparam(name) for name in _COLUMNS}))

_wakers: "weakref.WeakKeyDictionary[Any, asyncio.Event]" = weakref.WeakKeyDictionary()


def waker(database: Any) -> asyncio.Event:
    """What the relay of this database waits for."""
    return _wakers.setdefault(database, asyncio.Event())


async def publish(tx: Transaction, event: Event) -> None:
    """Writes the event in this transaction and wakes the relay after the commit.

    Lock or write the row that the event speaks of first: the order of the outbox is then the order of the changes.
    """
    await tx.execute(_INSERT, **row(event))
    _tell_after(tx, [event])


async def publish_all(tx: Transaction, events: Sequence[Event]) -> None:
    """The same for many, in one round trip."""
    if events:
        await tx.execute_many(_INSERT, [row(event) for event in events])
        _tell_after(tx, events)


def written(database: Any, events: Sequence[Event]) -> None:
    """These events are committed: wakes the relay of this database. For statements that write the outbox themselves."""
    for event in events:
        recent.remember(database, event)
    waker(database).set()


def _tell_after(tx: Transaction, events: Sequence[Event]) -> None:
    async def told() -> None:
        written(tx.database, events)

    tx.after_commit(told)


def row(event: Event) -> dict[str, Any]:
    """The event as values of the outbox's columns."""
    return {
        "event_id": event.event_id,
        "aggregate_type": event.aggregate_type,
        "aggregate_id": event.aggregate_id,
        "aggregate_version": event.aggregate_version,
        "topic": event.topic,
        "key": event.key,
        "type": event.type,
        "payload": event.envelope(),
        "headers": correlation.outgoing_headers() | {"type": event.type},
    }
