"""A message as handlers see it: the envelope read, checked and named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from aiokafka import ConsumerRecord

from chassis.errors import Poison


@dataclass(frozen=True, slots=True)
class Received:
    """One event off the wire. `topic` is the bare name, without the prefix; `occurred_at` is UTC."""

    event_id: UUID
    type: str
    topic: str
    key: str
    occurred_at: datetime
    data: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def read(record: ConsumerRecord, topic: str) -> Received:
    """The event in a record's value `{eventId,type,occurredAt,data}`; fields it does not know are ignored.

    Raises Poison, whose reason never quotes the message.
    """
    envelope = _object(record.value)
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise Poison("data is not an object")
    return Received(
        event_id=_event_id(envelope.get("eventId")),
        type=_text("type", envelope.get("type")),
        topic=topic,
        key=_key(record.key),
        occurred_at=_moment(envelope.get("occurredAt")),
        data=data,
        headers=headers(record),
    )


def headers(record: ConsumerRecord) -> dict[str, str]:
    """A record's headers as text; bytes that are not UTF-8 are replaced, because tracing must not refuse a message."""
    return {name: (value or b"").decode(errors="replace") for name, value in record.headers}


def _object(value: bytes) -> dict[str, Any]:
    try:
        envelope = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise Poison("the value is not JSON") from None
    if not isinstance(envelope, dict):
        raise Poison("the value is not a JSON object")
    return envelope


def _event_id(value: object) -> UUID:
    try:
        return UUID(_text("eventId", value))
    except ValueError:
        raise Poison("eventId is not a UUID") from None


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise Poison(f"{name} is missing or not text")
    return value


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(_text("occurredAt", value))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter at the ends of time
        raise Poison("occurredAt is not a date-time") from None
    raise Poison("occurredAt has no offset")


def _key(key: bytes | None) -> str:
    try:
        return (key or b"").decode()
    except UnicodeDecodeError:
        raise Poison("the key is not UTF-8") from None
