"""Exactly-once effects for handlers that are not idempotent by themselves: each event id is let in once."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, SQLModel

from chassis.statement import Statement
from chassis.transaction import Transaction


class InboxMessage(SQLModel, table=True):
    """An event that was handled; never pruned below the retention of the topics, or a replay would count twice."""

    __tablename__ = "inbox"

    event_id: UUID = Field(primary_key=True)
    received_at: datetime = Field(
        sa_column=sa.Column(sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
    )


_ADMIT = Statement(
    insert(InboxMessage).values(event_id=sa.bindparam("event_id")).on_conflict_do_nothing(index_elements=["event_id"])
)


async def admit(tx: Transaction, event_id: UUID) -> bool:
    """Whether this event is new; its row commits or rolls back with what the handler writes in `tx`.

    A second member that handles the same event at once waits here for the first one's commit.
    """
    return await tx.execute(_ADMIT, event_id=event_id) == 1
