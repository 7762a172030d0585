"""Dead letters: what a consumer group could not handle, whole, in `<topic>.<group>.dlq`.

A dead-letter topic is worked off from its oldest message: a message that was replayed or discarded is deleted. Kafka
notes deletions now and then (the embedded broker twice a second); one that is killed before may show a message again.
"""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiokafka import ConsumerRecord, TopicPartition
from chassis.deadletters import HEADER, REPLAY_GROUP, SUFFIX
from rich.table import Table

from hpctl.kafka import Log, connected
from hpctl.layout import Layout, UsageError
from hpctl.report import console


@dataclass(frozen=True)
class DeadLetter:
    """One message as it was, and where it came from."""

    record: ConsumerRecord
    source: TopicPartition
    offset: int
    group: str

    @classmethod
    def of(cls, record: ConsumerRecord) -> "DeadLetter":
        """Read the headers that the consumer added; UsageError when they are not there."""
        facts = {name.removeprefix(HEADER): value.decode() for name, value in record.headers if name.startswith(HEADER)}
        try:
            source = TopicPartition(facts["topic"], int(facts["partition"]))
            return cls(record, source, int(facts["offset"]), facts["group"])
        except (KeyError, ValueError):
            raise UsageError(f"message {record.offset} of {record.topic} has no headers of a dead letter") from None

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """The message's own headers, and the group that is to handle it again."""
        own = [(name, value) for name, value in self.record.headers if not name.startswith(HEADER)]
        return [*(pair for pair in own if pair[0] != REPLAY_GROUP), (REPLAY_GROUP, self.group.encode())]


async def show_counts(layout: Layout) -> None:
    """Print how many messages of each topic each group has put aside."""
    table = Table("dead-letter topic", "messages", "topic", "group", box=None, header_style="dim", pad_edge=False)
    async with connected(layout) as log:
        topics = await log.topics()
        for topic in sorted(name for name in topics if name.endswith(SUFFIX)):
            count = sum(end - first for first, end in (await log.bounds(topic)).values())
            source = max((name for name in topics if topic.startswith(f"{name}.")), key=len, default="")
            table.add_row(topic, str(count), source, topic.removeprefix(f"{source}.").removesuffix(SUFFIX))
    console.print(table if table.row_count else "there is no dead-letter topic")


async def show_messages(layout: Layout, topic: str, *, body: bool) -> None:
    """Print each message's place and headers, and its key and value only when `body` says so."""
    async with connected(layout) as log:
        async for record in _all(log, topic):
            console.print(f"[bold]{record.partition}/{record.offset}[/] {len(record.value or b'')} bytes")
            for name, value in record.headers:
                console.print(f"  {name}: {value.decode(errors='replace')}", markup=False)
            if body:
                sys.stdout.write(f"  key: {record.key!r}\n  value: {record.value!r}\n")


async def replay(layout: Layout, topic: str, count: int) -> int:
    """Write the oldest messages to the topic they came from, byte for byte; how many were written.

    A header names the group that is to handle them; no other group puts them aside a second time. What a group has
    handled it may read again without effect (version guard or inbox), and so a crash between writing and deleting only
    repeats a message. On a compacted topic the last message of a key is the one that stays for ever: where a newer one
    exists it is written again behind the replayed one, or a rebuild would see the past.
    """
    async with connected(layout) as log:
        done = 0
        async for record in _all(log, topic):
            if done == count:
                break
            letter = DeadLetter.of(record)
            newest = await _newer(layout, letter)
            await log.append(letter.source, record.key, record.value, letter.headers)
            if newest is not None:
                await log.append(letter.source, newest.key, newest.value, newest.headers)
            await log.delete_before(TopicPartition(topic, record.partition), record.offset + 1)
            done += 1
        return done


async def discard(layout: Layout, topic: str, count: int) -> int:
    """Delete the oldest messages for good; how many there were."""
    async with connected(layout) as log:
        done = 0
        async for record in _all(log, topic):
            if done == count:
                break
            await log.delete_before(TopicPartition(topic, record.partition), record.offset + 1)
            done += 1
        return done


async def _newer(layout: Layout, letter: DeadLetter) -> ConsumerRecord | None:
    """The last message of the same key behind the dead one."""
    last = None
    async with connected(layout) as log:
        _, end = (await log.bounds(letter.source.topic))[letter.source]
        async for record in log.read(letter.source, letter.offset + 1, end):
            if record.key is not None and record.key == letter.record.key and record.value != letter.record.value:
                last = record
    return last


async def _all(log: Log, topic: str) -> AsyncIterator[ConsumerRecord]:
    if not topic.endswith(SUFFIX) or topic not in await log.topics():
        raise UsageError(f"there is no dead-letter topic {topic!r}; `hpctl dlq list` names them")
    for partition, (first, end) in (await log.bounds(topic)).items():
        async for record in log.read(partition, first, end):
            yield record
