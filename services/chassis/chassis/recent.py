"""The newest events that this process wrote, in memory and without their data: what happened, to which id, when."""

import weakref
from collections import deque
from typing import Any

from chassis.events import Event

KEPT = 200

_events: "weakref.WeakKeyDictionary[Any, deque[dict[str, str]]]" = weakref.WeakKeyDictionary()


def remember(database: Any, event: Event) -> None:
    """Notes an event whose transaction was committed."""
    when = event.occurred_at.isoformat().replace("+00:00", "Z")
    noted = {"at": when, "type": event.type, "subject": str(event.aggregate_id), "eventId": str(event.event_id)}
    _events.setdefault(database, deque(maxlen=KEPT)).append(noted)


def events(database: Any) -> list[dict[str, str]]:
    """`[{at,type,subject,eventId}]`, newest first; `subject` is the id of what it happened to, never a name."""
    return list(reversed(_events.get(database, ())))
