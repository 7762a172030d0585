"""Dead letters worked off: listed, looked at, replayed, discarded.

A dead-letter topic is worked off from its oldest message: a message that was replayed or discarded is deleted. Kafka
notes deletions now and then (the embedded broker twice a second); one that is killed before may show a message again.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from chassis.deadletters import CUT, FACTS, HEADER, REPLAY_GROUP, REPLAY_SOURCE, SUFFIX, Origin, replay_topic_of
from chassis.errors import Conflict, NotFound
from chassis.topiclog import TopicLog, connected

EVERYTHING = 1_000_000
NOT_READABLE = "not readable"
LONGEST_FACT = 1_000
OFFSET_DIGITS = 19  # 63 bits


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of a dead-letter topic, and what the consumer noted of it.

    Whoever may write to the topic may write any headers: they are shown, and nothing is decided by them.
    """

    record: ConsumerRecord

    @property
    def facts(self) -> dict[str, str]:
        """What the headers say of its death; `NOT_READABLE` for what is no number, time or text where one belongs."""
        noted = {name.removeprefix(HEADER): value or b"" for name, value in self.record.headers if _notes(name)}
        return {name: _fact(name, value) for name, value in noted.items()}

    @property
    def own_headers(self) -> list[tuple[str, bytes]]:
        """The headers that it had before it died."""
        return [(name, value) for name, value in self.record.headers if not _notes(name)]

    def described(self) -> dict[str, Any]:
        """`{partition,offset,at,type,bytes,facts}`, without key and value; `at` is in milliseconds of Unix time."""
        named = {name: value for name, value in self.own_headers if name == "type"}
        return {
            "partition": self.record.partition,
            "offset": self.record.offset,
            "at": self.record.timestamp,
            "type": _fact("type", named.get("type") or b""),
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
    """The dead letters behind these brokers; `mine` are the dead-letter topics to look after.

    Without `mine` those are all that there are, and their names are read with the topics and the `prefix` in view.
    Every call raises KafkaError when the brokers do not answer, and NotFound for a topic that is not looked after.
    """

    def __init__(self, client: Mapping[str, Any], mine: Mapping[str, Origin] | None = None, prefix: str = "") -> None:
        self._client = client
        self._mine = mine
        self._prefix = prefix

    async def counts(self) -> list[dict[str, Any]]:
        """`[{topic,source,group,count}]` by topic."""
        async with connected(self._client) as log:
            topics = await log.topics()
            dead = self._looked_after(topics)
            bounds = await log.bounds(*dead) if dead else {}
        counts = Counter[str]()
        for partition, (first, end) in bounds.items():
            counts[partition.topic] += end - first
        return [
            {"topic": topic, "source": origin.source, "group": origin.group, "count": counts[topic]}
            for topic, origin in dead.items()
        ]

    async def letters(
        self, topic: str, limit: int = EVERYTHING, shown: Callable[[Letter], Any] = lambda letter: letter
    ) -> list[Any]:
        """The oldest messages of a topic, or what is `shown` of each: then only one is in memory at a time."""
        found: list[Any] = []
        async with connected(self._client) as log, aclosing(self._all(log, topic)) as records:
            async for record in records:
                if len(found) == limit:
                    break
                found.append(shown(Letter(record)))
        return found

    async def letter(self, topic: str, partition: int, offset: int) -> Letter:
        """One message. Raises NotFound."""
        at = TopicPartition(topic, partition)
        async with connected(self._client) as log:
            await self._check(log, topic)
            first, end = (await log.bounds(topic)).get(at, (0, 0))
            if first <= offset < end:
                async for record in log.read(at, offset, offset + 1):
                    return Letter(record)
        raise NotFound("dead letter")

    async def replay(self, topic: str, count: int = EVERYTHING, through: int | None = None) -> int:
        """Write the oldest messages to the topic of the group's replays, byte for byte; how many were written.

        No other group reads them there, and the topic that they came from keeps what it has: a replayed message never
        becomes the last one of its key. Beside newer messages of its key it is handled in any order, and after a crash
        between writing and deleting twice; neither has an effect (version guard, unique key or inbox). `through` is the
        last offset that is touched. Raises Conflict while there is nowhere to write to.
        """
        async with connected(self._client) as log:
            topics = await log.topics()
        origin = self._looked_after(topics).get(topic)
        if origin is None:
            raise NotFound(f"dead-letter topic {topic!r}")
        if not origin.source or origin.replay not in topics:
            raise Conflict(f"no consumer group replays {topic!r}: there is no topic {origin.replay!r}")

        async def give_back(log: TopicLog, letter: Letter) -> None:
            given = [pair for pair in letter.own_headers if pair[0] not in (REPLAY_SOURCE, REPLAY_GROUP)]
            to, source = TopicPartition(origin.replay, 0), (REPLAY_SOURCE, origin.source.encode())
            try:
                await log.append(to, letter.record.key, letter.record.value, [*given, source])
            except MessageSizeTooLargeError:  # a compressed batch brought it; the letters behind it would wait for ever
                await log.append(to, None, (letter.record.value or b"")[:CUT], [source])

        return await self._work_off(topic, count, through, give_back)

    async def discard(self, topic: str, count: int = EVERYTHING, through: int | None = None) -> int:
        """Delete the oldest messages for good; how many there were."""
        return await self._work_off(topic, count, through, _let_go)

    async def _work_off(self, topic: str, count: int, through: int | None, settle: Settle) -> int:
        done = 0
        async with connected(self._client) as log, aclosing(self._all(log, topic)) as records:
            async for record in records:
                if done == count or (through is not None and record.offset > through):
                    break
                await settle(log, Letter(record))
                await log.delete_before(TopicPartition(topic, record.partition), record.offset + 1)
                done += 1
        return done

    def _looked_after(self, topics: set[str]) -> dict[str, Origin]:
        """The dead-letter topics among these, by name, and their origins."""
        dead = sorted(topic for topic in topics if topic.endswith(SUFFIX))
        if self._mine is None:
            return {topic: _origin(topic, topics, self._prefix) for topic in dead}
        return {topic: self._mine[topic] for topic in dead if topic in self._mine}

    async def _check(self, log: TopicLog, topic: str) -> None:
        if topic not in self._looked_after(await log.topics()):
            raise NotFound(f"dead-letter topic {topic!r}")

    async def _all(self, log: TopicLog, topic: str) -> AsyncGenerator[ConsumerRecord, None]:
        await self._check(log, topic)
        for partition, (first, end) in (await log.bounds(topic)).items():
            async for record in log.read(partition, first, end):
                yield record


def _origin(topic: str, topics: set[str], prefix: str) -> Origin:
    """By the longest name of a topic that its name begins with; an empty source where there is none."""
    source = max((name for name in topics if topic.startswith(f"{name}.")), key=len, default="")
    group = topic.removeprefix(f"{source}.").removesuffix(SUFFIX)
    return Origin(source, group, prefix + replay_topic_of(group))


def _notes(name: str) -> bool:
    return name.startswith(HEADER) and name.removeprefix(HEADER) in FACTS


def _fact(name: str, value: bytes) -> str:
    """A header's text, cut; `NOT_READABLE` where it is not what a consumer writes there."""
    try:
        text = value.decode()
        if name in ("partition", "offset") and not (text.isascii() and text.isdigit() and len(text) <= OFFSET_DIGITS):
            return NOT_READABLE
        if name == "time":
            datetime.fromisoformat(text)
    except ValueError:
        return NOT_READABLE
    return text[:LONGEST_FACT]


async def _let_go(_: TopicLog, __: Letter) -> None:
    """A discarded message goes nowhere."""


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(errors="backslashreplace")
