"""Dead letters worked off: listed, looked at, replayed, discarded.

A dead-letter topic is worked off from its oldest message: a message that was replayed or discarded is deleted. Kafka
notes deletions now and then (the embedded broker twice a second); one that is killed before may show a message again.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition

from chassis.deadletters import HEADER, REPLAY_GROUP, SUFFIX
from chassis.errors import Conflict, NotFound
from chassis.topiclog import TopicLog, connected

EVERYTHING = 1_000_000


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of a dead-letter topic, and what the consumer noted of it."""

    record: ConsumerRecord
    facts: dict[str, str]

    @classmethod
    def of(cls, record: ConsumerRecord) -> "Letter":
        """Reads the headers; those that are not UTF-8 are shown as far as they are."""
        pairs = [(name, value or b"") for name, value in record.headers]
        noted = {name: value.decode(errors="replace") for name, value in pairs if name.startswith(HEADER)}
        return cls(record, {name.removeprefix(HEADER): text for name, text in noted.items()})

    @property
    def source(self) -> TopicPartition:
        """Where it came from. Conflict when its headers do not say so."""
        try:
            return TopicPartition(self.facts["topic"], int(self.facts["partition"]))
        except (KeyError, ValueError):
            place = f"message {self.record.offset} of {self.record.topic}"
            raise Conflict(f"{place} has no headers of a dead letter") from None

    @property
    def own_headers(self) -> list[tuple[str, bytes]]:
        """The headers that it had before it died."""
        return [(name, value) for name, value in self.record.headers if not name.startswith(HEADER)]

    def described(self) -> dict[str, Any]:
        """`{partition,offset,at,type,bytes,facts}`, without key and value; `at` is in milliseconds of Unix time."""
        named = {name: value for name, value in self.own_headers if name == "type"}
        return {
            "partition": self.record.partition,
            "offset": self.record.offset,
            "at": self.record.timestamp,
            "type": (named.get("type") or b"").decode(errors="replace"),
            "bytes": len(self.record.value or b""),
            "facts": self.facts,
        }

    def opened(self) -> dict[str, Any]:
        """All of it: `described`, and headers, key and value as text. It may name people."""
        headers = [[name, (value or b"").decode(errors="replace")] for name, value in self.own_headers]
        return self.described() | {
            "headers": headers,
            "key": _text(self.record.key),
            "value": _text(self.record.value),
        }


Settle = Callable[[TopicLog, Letter], Awaitable[None]]


class DeadLetterLog:
    """The dead letters behind these brokers; `mine` are the dead-letter topics to look after, None means all there are.

    Every call raises KafkaError when the brokers do not answer, and NotFound for a topic that is not looked after.
    """

    def __init__(self, client: Mapping[str, Any], mine: frozenset[str] | None = None) -> None:
        self._client = client
        self._mine = mine

    async def counts(self) -> list[dict[str, Any]]:
        """`[{topic,source,group,count}]` by topic."""
        async with connected(self._client) as log:
            topics = await log.topics()
            dead = sorted(filter(self._looked_after, topics))
            bounds = await log.bounds(*dead) if dead else {}
        counts = Counter[str]()
        for partition, (first, end) in bounds.items():
            counts[partition.topic] += end - first
        return [_described(topic, topics, counts[topic]) for topic in dead]

    async def letters(self, topic: str, limit: int = EVERYTHING) -> list[Letter]:
        """The oldest messages of a topic."""
        found: list[Letter] = []
        async with connected(self._client) as log, aclosing(self._all(log, topic)) as records:
            async for record in records:
                if len(found) == limit:
                    break
                found.append(Letter.of(record))
        return found

    async def letter(self, topic: str, partition: int, offset: int) -> Letter:
        """One message. Raises NotFound."""
        at = TopicPartition(topic, partition)
        async with connected(self._client) as log:
            await self._check(log, topic)
            first, end = (await log.bounds(topic)).get(at, (0, 0))
            if first <= offset < end:
                async for record in log.read(at, offset, offset + 1):
                    return Letter.of(record)
        raise NotFound("dead letter")

    async def replay(self, topic: str, count: int = EVERYTHING, through: int | None = None) -> int:
        """Write the oldest messages to the topic they came from, byte for byte; how many were written.

        A header names the group that is to handle them; no other group puts them aside a second time. What a group has
        handled it may read again without effect (version guard or inbox), and so a crash between writing and deleting
        only repeats a message. On a compacted topic the last message of a key is the one that stays for ever: where a
        newer one exists it is written again behind the replayed one, or a rebuild would see the past.
        `through` is the last offset that is touched.
        """
        return await self._work_off(topic, count, through, self._give_back)

    async def discard(self, topic: str, count: int = EVERYTHING, through: int | None = None) -> int:
        """Delete the oldest messages for good; how many there were."""
        return await self._work_off(topic, count, through, _let_go)

    async def _work_off(self, topic: str, count: int, through: int | None, settle: Settle) -> int:
        done = 0
        async with connected(self._client) as log, aclosing(self._all(log, topic)) as records:
            async for record in records:
                if done == count or (through is not None and record.offset > through):
                    break
                await settle(log, Letter.of(record))
                await log.delete_before(TopicPartition(topic, record.partition), record.offset + 1)
                done += 1
        return done

    async def _give_back(self, log: TopicLog, letter: Letter) -> None:
        group = letter.facts.get("group", "").encode()
        headers = [*(pair for pair in letter.own_headers if pair[0] != REPLAY_GROUP), (REPLAY_GROUP, group)]
        source = letter.source
        newest = await self._newer(letter)
        await log.append(source, letter.record.key, letter.record.value, headers)
        if newest is not None:
            await log.append(source, newest.key, newest.value, newest.headers)

    async def _newer(self, letter: Letter) -> ConsumerRecord | None:
        """The last message of the same key behind the dead one."""
        last, source = None, letter.source
        async with connected(self._client) as log:
            _, end = (await log.bounds(source.topic))[source]
            async for record in log.read(source, int(letter.facts.get("offset", "0")) + 1, end):
                if record.key is not None and record.key == letter.record.key and record.value != letter.record.value:
                    last = record
        return last

    def _looked_after(self, topic: str) -> bool:
        return topic.endswith(SUFFIX) and (self._mine is None or topic in self._mine)

    async def _check(self, log: TopicLog, topic: str) -> None:
        if not self._looked_after(topic) or topic not in await log.topics():
            raise NotFound(f"dead-letter topic {topic!r}")

    async def _all(self, log: TopicLog, topic: str) -> AsyncGenerator[ConsumerRecord, None]:
        await self._check(log, topic)
        for partition, (first, end) in (await log.bounds(topic)).items():
            async for record in log.read(partition, first, end):
                yield record


def _described(topic: str, topics: set[str], count: int) -> dict[str, Any]:
    source = max((name for name in topics if topic.startswith(f"{name}.")), key=len, default="")
    group = topic.removeprefix(f"{source}.").removesuffix(SUFFIX)
    return {"topic": topic, "source": source, "group": group, "count": count}


async def _let_go(_: TopicLog, __: Letter) -> None:
    """A discarded message goes nowhere."""


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(errors="backslashreplace")
