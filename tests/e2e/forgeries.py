"""Records that claim what their topic or key does not bear out, of every type and every kind."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from healthcare_contracts.topics import NOBODY, TOPICS, Topic

CANARY = "canary-of-a-forger"
SUBJECT = "0198c0de-0000-7000-8000-00000000000a"
STRANGER = "0198c0de-0000-7000-8000-00000000000b"


@dataclass(frozen=True)
class Record:
    """A key and a value, and what is wrong with them."""

    fault: str
    key: bytes | None
    value: bytes


def data_of(topic: Topic, subject: str) -> dict[str, Any]:
    """What any type of this topic needs, in one."""
    patient = {"patientId": subject, "name": "Forged Name", "email": "forged@example.com", "version": 1_000_000}
    other = {"appointmentId": str(uuid.uuid4()), "accountId": str(uuid.uuid4()), "status": "ACTIVE"}
    return patient | other | {topic.key_field: subject}


def envelope(kind: str, data: dict[str, Any]) -> bytes:
    event = {"eventId": str(uuid.uuid4()), "type": kind, "occurredAt": "2026-01-01T00:00:00Z", "data": data}
    return json.dumps(event).encode()


def good(topic: Topic, subject: str = SUBJECT) -> Iterator[Record]:
    """What a producer writes, of each type; `data` may write the UUID in another way, the key may not."""
    for kind in topic.types:
        data = data_of(topic, subject)
        yield Record(kind, subject.encode(), envelope(kind, data))
        yield Record(f"{kind} in capitals", subject.encode(), envelope(kind, data | {topic.key_field: subject.upper()}))
        if topic.absent_key:
            del data[topic.key_field]
            yield Record(f"{kind} of nobody", NOBODY.encode(), envelope(kind, data))
            yield Record(f"{kind} of null", NOBODY.encode(), envelope(kind, data | {topic.key_field: None}))


def forged(topic: Topic, subject: str = SUBJECT) -> Iterator[Record]:
    """Every type of this topic under a wrong key, and every other type under its right one."""
    for kind in topic.types:
        data = data_of(topic, subject)
        for fault, key in _wrong_keys(subject).items():
            yield Record(f"{kind}: {fault}", key, envelope(kind, data))
        for fault, claimed in _wrong_subjects(subject).items():
            yield Record(
                f"{kind}: data is {fault}", subject.encode(), envelope(kind, data | {topic.key_field: claimed})
            )
        del data[topic.key_field]
        yield Record(f"{kind}: data has none", subject.encode(), envelope(kind, data))
    elsewhere = {kind: other for other in TOPICS for kind in other.types if kind not in topic.types}
    for kind, other in elsewhere.items():
        yield Record(f"{kind}: on {topic.name}", subject.encode(), envelope(kind, data_of(other, subject)))
    for kind in (CANARY, topic.types[0].upper(), f"{topic.types[0]} ", "patient.created\0"):
        yield Record(f"{kind!r}: unknown", subject.encode(), envelope(kind, data_of(topic, subject)))


def _wrong_keys(subject: str) -> dict[str, bytes | None]:
    plain = subject.encode()
    return {
        "no key": None,
        "an empty key": b"",
        "a stranger's key": STRANGER.encode(),
        "nobody's key": NOBODY.encode(),
        "a key in capitals": plain.upper(),
        "a key without hyphens": plain.replace(b"-", b""),
        "a key in braces": b"{" + plain + b"}",
        "a key as a URN": b"urn:uuid:" + plain,
        "a key of 16 bytes": uuid.UUID(subject).bytes,
        "a key with a blank": plain + b" ",
        "a key as JSON": b'"' + plain + b'"',
        "a key that is no UUID": CANARY.encode(),
        "a key that is no UTF-8": b"\xff\xfe" + plain,
    }


def _wrong_subjects(subject: str) -> dict[str, Any]:
    return {
        "null": None,
        "a number": 42,
        "a list": [subject],
        "an object": {"id": subject},
        "true": True,
        "empty": "",
        "no UUID": CANARY,
        "a stranger": STRANGER,
    }
