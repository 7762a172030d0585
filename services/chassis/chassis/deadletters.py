"""Where messages go that can never be handled: whole, with the reason beside them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import pydantic
from aiokafka import ConsumerRecord
from prometheus_client import Counter

from chassis import logs
from chassis.errors import Poison

log = logs.logger(__name__)

DEAD_LETTERS = Counter("consumer_dead_letters_total", "Messages put aside for good", ["group", "topic"])

SUFFIX = ".dlq"
HEADER = "dead-letter-"
FACTS = ("exception", "reason", "topic", "partition", "offset", "group", "time")
"""What the headers `dead-letter-…` say; notes for people, which decide nothing."""
REPLAY_SOURCE = "replay-source"
"""Header of a replayed dead letter: the topic, as on the wire, that it once came from."""
REPLAY_GROUP = "replay-group"
"""Header of a dead letter that the release before this one replayed: the group that is to handle it again.

It went into the topic that it came from. Another group that cannot handle it passes it over, for it has put the
original aside already. Goes with the next release."""

LARGEST = 2_000_000
"""Bytes of a message that a dead-letter topic has room for, beside our headers. No producer of ours sends as many."""
CUT = 1_000_000
"""Bytes of its value that are kept of a larger one, which a compressed batch can bring (chassis.batches.LARGEST)."""

Headers = Sequence[tuple[str, bytes]]


class Publishes(Protocol):
    """What sends a message and returns once the brokers have acknowledged it (acks=all)."""

    async def send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> object:
        """Send one message; raises when it was not acknowledged."""


@dataclass(frozen=True, slots=True)
class DeadLetterTopic:
    """What chassis.kafka.ensure_topics needs to know about a dead-letter topic, or one of replayed letters.

    Letters are kept 14 days, and there is room for the largest message that another topic takes plus our headers.
    """

    name: str
    partitions: int | None = 1
    config: dict[str, str] = field(
        default_factory=lambda: {"retention.ms": str(14 * 86_400_000), "max.message.bytes": "2097152"}
    )


def topic_of(topic: str, group: str) -> str:
    """The dead-letter topic of a consumer group: `<topic>.<group>.dlq`."""
    return f"{topic}.{group}{SUFFIX}"


def replay_topic_of(group: str) -> str:
    """The topic in which a consumer group, and no other, gets its dead letters back: `<group>.replay`."""
    return f"{group}.replay"


def replayed_from(record: ConsumerRecord) -> str:
    """The topic on the wire that a replayed letter says it came from; empty when it does not."""
    named = (value or b"" for name, value in record.headers if name == REPLAY_SOURCE)
    return next(named, b"").decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Origin:
    """What the name of a dead-letter topic says of its letters; topics as on the wire, the group bare."""

    source: str
    group: str
    replay: str

    @classmethod
    def of_group(cls, group: str, topics: Iterable[str], prefix: str) -> dict[str, "Origin"]:
        """Dead-letter topic → origin, for a group that reads these topics; theirs are bare names."""
        replay = prefix + replay_topic_of(group)
        return {prefix + topic_of(topic, group): cls(prefix + topic, group, replay) for topic in topics}


class DeadLetters:
    """One group's dead letters. `prefix` is the topic prefix on the wire; `group` is the bare name."""

    def __init__(self, producer: Publishes, prefix: str, group: str) -> None:
        self._producer = producer
        self._prefix = prefix
        self._group = group

    async def put(self, record: ConsumerRecord, topic: str, error: Exception) -> None:
        """Send the record's own bytes, key and headers; raises when the brokers did not take it.

        Of a record above LARGEST only the beginning of its value goes, and the reason says so.
        """
        destination = self._prefix + topic_of(topic, self._group)
        key, value, own = record.key, record.value, [each for each in record.headers if each[0] != REPLAY_SOURCE]
        why, size = reason(error), _size(record)
        if size > LARGEST:
            key, value, own = None, (value or b"")[:CUT], []
            why += f"; cut: it has about {size} bytes"
        described = _describe(record, self._group, error, why)
        await self._producer.send(destination, key, value, [*own, *described])
        DEAD_LETTERS.labels(self._group, topic).inc()
        log.error("message dead-lettered", topic=topic, partition=record.partition, offset=record.offset,
                  group=self._group, error=type(error).__name__, reason=why)  # fmt: skip


def reason(error: Exception) -> str:
    """Why, without a single value from the message: people's data must not travel in error texts."""
    if isinstance(error, Poison):
        return str(error)
    if isinstance(error, pydantic.ValidationError):
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['type']}" for problem in problems)
    return f"the handler failed with {type(error).__name__}"


def _size(record: ConsumerRecord) -> int:
    """Bytes, and ten for the lengths of each header."""
    headers = sum(len(name.encode()) + len(value or b"") + 10 for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _describe(record: ConsumerRecord, group: str, error: Exception, why: str) -> Headers:
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    place = (record.topic, record.partition, record.offset)
    values = (type(error).__name__, why, *place, group, time)
    return [(HEADER + name, str(value).encode()) for name, value in zip(FACTS, values, strict=True)]
