"""A message as handlers see it: the envelope read, checked and named.

Whoever may write to a topic may write anything there: an event is believed only where the record's topic and key fit
what it says of itself. A record under another key would be out of order, and never compacted away.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import orjson
from aiokafka import ConsumerRecord

from chassis.errors import Poison

_CANONICAL = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class TopicContract(Protocol):
    """What the records of a topic may claim."""

    @property
    def name(self) -> str:
        """The bare name."""

    @property
    def types(self) -> tuple[str, ...]:
        """The event types that it carries."""

    @property
    def key_field(self) -> str:
        """The member of `data` whose UUID, as lower-case text with hyphens, is the key."""

    @property
    def absent_key(self) -> str | None:
        """The key where `data` has no such member, or null; None: it always has one."""


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


def read(record: ConsumerRecord, contract: TopicContract) -> Received:
    """The event in a record's value `{eventId,type,occurredAt,data}`; fields it does not know are ignored.

    Raises Poison when it is no event or not one of this topic and key; the reason never quotes the message.
    """
    envelope = _object(record.value)
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise Poison("data is not an object")
    return Received(
        event_id=_event_id(envelope.get("eventId")),
        type=_type(envelope.get("type"), contract),
        topic=contract.name,
        key=_key(record.key, data, contract),
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


def _type(value: object, contract: TopicContract) -> str:
    kind = _text("type", value)
    if kind not in contract.types:
        raise Poison("the type does not belong to this topic")
    return kind


def _key(key: bytes | None, data: Mapping[str, Any], contract: TopicContract) -> str:
    subject = data.get(contract.key_field)
    expected = contract.absent_key if subject is None else _uuid(subject)
    if expected is None:
        raise Poison(f"data.{contract.key_field} is missing or not a UUID")
    if key != expected.encode():
        raise Poison(f"the key is not data.{contract.key_field}")
    return expected


def _uuid(value: object) -> str | None:
    try:
        if not isinstance(value, str):
            return None
        # Written as our producers do; making a UUID of it would take a third of the time of reading an event.
        return value if _CANONICAL.fullmatch(value) else str(UUID(value))
    except ValueError:
        return None
