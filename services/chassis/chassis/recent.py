"""The newest events that this process wrote, in memory and without their data: what happened, to which id, when."""

import weakref
from collections import deque
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.events import Event

KEPT = 200

_events: "weakref.WeakKeyDictionary[Any, deque[tuple[datetime, str, UUID, UUID]]]" = weakref.WeakKeyDictionary()


def remember(database: Any, event: Event) -> None:
    """Notes an event whose transaction was committed."""
    noted = (event.occurred_at, event.type, event.aggregate_id, event.event_id)
    _events.setdefault(database, deque(maxlen=KEPT)).append(noted)


def events(database: Any) -> list[dict[str, str]]:
    """`[{at,type,subject,eventId}]`, newest first; `subject` is the id of what it happened to, never a name."""
    return [
        {"at": at.isoformat().replace("+00:00", "Z"), "type": kind, "subject": str(subject), "eventId": str(event_id)}
        for at, kind, subject, event_id in reversed(_events.get(database, ()))
    ]
