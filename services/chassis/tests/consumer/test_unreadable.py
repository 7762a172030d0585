"""Batches that aiokafka cannot read hold nothing up: each record of them is handled, or the batch is a dead letter."""

import itertools
from pathlib import Path
from typing import Any

import chassis
import pytest
from aiokafka import TopicPartition
from chassis import topiclog, versions
from chassis.deadletterlog import DeadLetterLog
from chassis.security import kafka_client
from chassis.testing import eventually
from chassis.testing.batches import CODECS, UNREADABLE, Batch, place

pytestmark = pytest.mark.contract("E11")

NAMES = {
    "no text": b"\xff" * 13,
    "half a surrogate": b"\xed\xa0\x80".ljust(13, b"a"),
    "ends within a letter": b"ends early \xe2\x82",
    "longer than it is": b"overlong \xc0\xaf/.",
    "as ours": b"replay-source",
}
SENT = [(name, packed) for name in NAMES for packed in ("none", "gzip")]
SENT += [("no text", packed) for packed in CODECS if packed not in ("none", "gzip", *UNREADABLE)]


async def send(world: Any, topic: str, batch: Batch) -> None:
    await (await world.producer.send_batch(batch, world.prefix + topic, partition=0))


def strange(world: Any, *numbers: int, name: bytes, packed: str = "none") -> Batch:
    """A batch of good events, the second of which has a header of this name."""
    headers = [("type", b"t"), (place(name), b"\xff"), ("after", b"")]
    records = [(b"key", world.message(number), headers if each == 1 else []) for each, number in enumerate(numbers)]
    return Batch(records, name=name, packed=packed)


async def test_every_record_is_handled_whatever_the_name_of_a_header_is_made_of(world: Any) -> None:
    """Once and in order, whether the same fetch brought records before it or not."""
    await world.topics("things")
    numbers = itertools.count()
    for name, packed in SENT:
        await world.send("things", *(world.message(next(numbers)) for _ in range(3)))
        await send(world, "things", strange(world, *itertools.islice(numbers, 3), name=NAMES[name], packed=packed))
    await world.send("things", world.message(last := next(numbers)))
    async with world.consuming({"things": world.write}) as consumer:
        await eventually(world.wrote(range(last + 1)))
        assert consumer.alive()
    assert await world.dead_letters("things") == []
    assert await world.committed("things") == last + 1


async def test_a_batch_that_cannot_be_unpacked_is_one_dead_letter(world: Any) -> None:
    await world.topics("things")
    sent = Batch([(b"key", world.message(number), []) for number in (2, 3)], packed="trailed gzip")
    await world.send("things", world.message(1))
    await send(world, "things", sent)
    await world.send("things", world.message(4))
    async with world.consuming({"things": world.write}):
        await eventually(world.wrote([1, 4]))
        [letter] = await world.dead_letters("things")
    assert letter.value[21:] == bytes(sent._build())[21:], "from its attributes on, which no broker changes"
    told = dict(letter.headers)
    assert (told["unreadable-batch"], told["dead-letter-offset"]) == (b"BadGzipFile", b"2")
    assert await world.committed("things") == 4


async def test_a_dead_letter_that_has_such_a_header_is_listed_replayed_and_discarded(world: Any) -> None:
    """Written by the consumer, and by whoever may write to its dead letters."""
    await world.topics("things")
    name = NAMES["no text"]
    poison = [(b"k", b"poison", [(place(name), b"v"), (place(name), b"w")])]
    await send(world, "things", Batch(poison, name=name))
    async with world.consuming({"things": world.write}) as consumer:
        dead = f"{world.prefix}things.group.dlq"
        await eventually(lambda: arrived(world, "things.group.dlq", 1))
        await send(world, "things.group.dlq", Batch(poison, name=name, packed="gzip"))
        await send(world, "things.group.dlq", strange(world, 1, 2, 3, name=name))
        log = DeadLetterLog(kafka_client(world.settings), consumer.dead_letter_topics)
        first, *others = await log.letters(dead)
        assert first.own_headers == [("?" * 13, b"v"), ("?" * 13, b"w")]
        assert first.opened()["headers"][0] == ["?" * 13, "v"]
        assert (first.facts["reason"], len(others)) == ("the value is not JSON", 4)
        assert (await log.letter(dead, 0, 3)).own_headers[1] == ("?" * 13, b"\xff")
        assert await log.replay(dead) == 5
        await eventually(world.wrote([1, 2, 3]))
        await eventually(lambda: arrived(world, "things.group.dlq", 7))
        assert await log.discard(dead) == 2


async def test_a_topic_is_read_through_to_its_end(world: Any) -> None:
    """As hpctl does, and a restore that asks for the highest version."""
    await world.topics("things")
    await world.send("things", world.message(1), world.message(2))
    name = NAMES["no text"]
    for packed in ("none", "gzip"):
        await send(world, "things", strange(world, 1, 2, name=name, packed=packed))
    await send(world, "things", Batch([(b"key", b"{}", [])] * 3, packed="trailed gzip"))
    await world.send("things", world.message(1, data={"version": 7}))
    async with topiclog.connected(kafka_client(world.settings)) as log:
        [(partition, (begin, end))] = (await log.bounds(world.prefix + "things")).items()
        found = [record.offset async for record in log.read(partition, begin, end)]
        middle = [record.offset async for record in log.read(TopicPartition(*partition), 5, 8)]
    assert (found, middle) == ([0, 1, 2, 3, 4, 5, 8, 9], [5])
    assert await versions.told(world.settings, ["things"]) == 7


@pytest.mark.parametrize("kind", ["value", "key", "name", "headers"])
async def test_what_is_too_large_for_a_dead_letter_waits_for_no_room(world: Any, kind: str) -> None:
    """A batch weighs what it weighs when it is packed; a name that is replaced must not grow."""
    await world.topics("things")
    large, name = b"x" * 3_000_000, b"\xff" * 1_048_000
    records = {
        "value": [(b"key", large, [])],
        "key": [(large, b"", [])],
        "name": [(b"key", b"", [(place(name), b"")])],
        "headers": [(b"key", b"", [("", b"")] * 1_000_000)],
    }[kind]
    await send(world, "things", Batch(records, name=name, packed="none" if kind == "name" else "gzip"))
    await world.send("things", world.message(1))
    async with world.consuming({"things": world.write}):
        await eventually(world.wrote([1]))
        [letter] = await world.dead_letters("things")
    told = dict(letter.headers)
    assert (b"; cut: it has about" in told["dead-letter-reason"]) == (kind != "name")
    assert ("?" * len(name) in told) == (kind == "name")
    assert letter.value == (large[:1_000_000] if kind == "value" else b"")


def test_whoever_makes_a_consumer_installs_this_first() -> None:
    root = Path(chassis.__file__).parents[3]
    files = [path for folder in ("services", "hpctl", "operator") for path in (root / folder).rglob("*.py")]
    files = [path for path in files if not {"tests", "testing"} & {*path.relative_to(root).parts}]
    makers = {path.stem: path.read_text() for path in files if _makes_one(path.read_text())}
    assert makers.keys() == {"subscription", "topiclog"}
    assert [name for name, text in makers.items() if "batches.install()" not in text] == []


def _makes_one(text: str) -> bool:
    return "AIOKafkaConsumer(" in text or "KafkaBroker(" in text


async def arrived(world: Any, topic: str, end: int) -> bool:
    async with topiclog.connected(kafka_client(world.settings)) as log:
        return [last for _, last in (await log.bounds(world.prefix + topic)).values()] == [end]
