"""What a service has to tell: one event, on its way to Kafka."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from chassis.ids import new_id


@dataclass(frozen=True, slots=True)
class Event:
    """`topic` is the bare name; `key` decides the partition and so the order; `data` None writes a null value.

    `aggregate_version` is that of the row the event speaks of; `occurred_at` is UTC.
    """

    type: str
    topic: str
    key: str
    aggregate_type: str
    aggregate_id: UUID
    aggregate_version: int
    data: dict[str, Any] | None
    event_id: UUID = field(default_factory=new_id)
    occurred_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def envelope(self) -> dict[str, Any] | None:
        """`{eventId,type,occurredAt,data}`; None for a null value."""
        if self.data is None:
            return None
        return {
            "eventId": str(self.event_id),
            "type": self.type,
            "occurredAt": self.occurred_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "data": self.data,
        }
