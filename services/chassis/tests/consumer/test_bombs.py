"""A compressed batch that unpacks to more than a process has room for is one dead letter, and takes no such room."""

import asyncio
import json
import os
import sys
import textwrap
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from chassis import batches
from chassis.batches import LARGEST
from chassis.deadletterlog import DeadLetterLog, Letter
from chassis.security import kafka_client
from chassis.testing import eventually
from chassis.testing.batches import CODECS, UNREADABLE, Batch

pytestmark = pytest.mark.contract("E11")

MIB = 2**20
HONEST = [packed for packed in CODECS if packed not in ("none", *UNREADABLE)]
BOMBS = {"gzip": 64, "gzip members": 64, "snappy": 20, "raw snappy": 20, "lz4": 64, "zstd": 256}
"""MiB; snappy packs 20 of them into the one that brokers take."""

CHILD = """
    import asyncio, json, os, re, sys
    sys.path.insert(0, os.environ["TEST_FOLDER"])
    from conftest import FAST, Contract, Settings, write
    from aiokafka import TopicPartition
    from chassis import topiclog
    from chassis.consumer import Consumer
    from chassis.db import Database
    from chassis.kafka import KafkaProducer
    from chassis.security import kafka_client

    def peak():
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024

    async def main(last):
        done = asyncio.Event()
        async def handle(event, tx):
            await write(event, tx)
            if event.data["number"] == last:
                done.set()
        settings = Settings.from_environ(json.loads(os.environ["TEST_SETTINGS"]))
        database, producer = Database(settings), KafkaProducer(settings)
        consumer = Consumer(settings, group="group", database=database, producer=producer, tuning=FAST)
        consumer.subscribe({"things": handle}, [Contract("things")])
        peaks = [peak()]
        for part in (database, producer, consumer):
            await part.start()
        await done.wait()
        peaks.append(peak())
        for part in (consumer, producer, database):
            await part.stop()
        async with topiclog.connected(kafka_client(settings)) as log:
            [(partition, (first, end))] = (await log.bounds(settings.kafka_topic_prefix + "many")).items()
            offsets = [record.offset async for record in log.read(partition, first, end)]
        print(json.dumps([*peaks, peak(), offsets]))

    asyncio.run(main(int(sys.argv[1])))
"""


async def send(world: Any, topic: str, batch: Batch) -> None:
    await (await world.producer.send_batch(batch, world.prefix + topic, partition=0))


def bomb(packed: str, size: int) -> Batch:
    return Batch([(b"key", bytes(size), [])], packed=packed)


async def test_the_peak_of_memory_does_not_rise_by_a_bomb_and_what_is_behind_it_is_handled(world: Any) -> None:
    """Nor by many batches that are each small enough, for those who take all of a fetch at once."""
    await world.topics("things", "many")
    for number, (packed, size) in enumerate(BOMBS.items()):
        await send(world, "things", bomb(packed, size * MIB))
        await world.send("things", world.message(number))
    for _ in range(16):
        await send(world, "many", bomb("zstd", 3 * MIB))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(CHILD), str(len(BOMBS) - 1),
        env=os.environ | world.child_environ(), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        said, _ = await child.communicate()
    before, consumed, read, offsets = json.loads(said.splitlines()[-1])
    assert consumed - before < 60, (before, consumed)
    assert read - consumed < 25, (consumed, read)
    assert await world.effects() == list(range(len(BOMBS)))
    told = [dict(letter.headers)["unreadable-batch"].decode() for letter in await world.dead_letters("things")]
    assert told == ["UnpacksTooLarge"] * len(BOMBS)
    assert offsets == list(range(16))


@pytest.mark.parametrize("packed", HONEST)
def test_what_unpacks_to_the_bound_is_read_and_a_byte_more_is_not(packed: str) -> None:
    batches.install()
    size = LARGEST - (len(Batch([(b"key", bytes(3 * MIB), [])])._build()) - 61 - 3 * MIB)
    fits, more = (list(records(bomb(packed, each))) for each in (size, size + 1))
    assert [len(record.value) for record in fits] == [size]
    assert [record.headers for record in more] == [((batches.UNREADABLE, b"UnpacksTooLarge"),)]


@pytest.mark.parametrize(("packed", "why"), [("snappy of 4 GiB", "UnpacksTooLarge"), ("snappy in circles", "Error")])
def test_a_batch_that_lies_about_its_size_is_set_aside(packed: str, why: str) -> None:
    """Brokers that look do not take it."""
    batches.install()
    [record] = records(bomb(packed, 100))
    assert record.headers[0][1].decode().endswith(why)


def records(batch: Batch) -> Any:
    data = fetcher.MemoryRecords(bytes(batch._build()))
    return fetcher.PartitionRecords(TopicPartition("things", 0), data, [], 0, None, None, True, 0)


async def test_among_dead_letters_and_replays_it_blocks_nothing(world: Any) -> None:
    """Neither a bomb, nor what unpacks to more than can be written again."""
    await world.topics("things")
    async with world.consuming({"things": world.write}) as consumer:
        dead, replays = "things.group.dlq", "group.replay"
        for topic in (dead, replays):
            await send(world, topic, bomb("zstd", 64 * MIB))
            await send(world, topic, bomb("gzip", 3 * MIB))
            await send(world, topic, bomb("trailed gzip", 10))
            source = [("replay-source", f"{world.prefix}things".encode())]
            await send(world, topic, Batch([(b"key", world.message(len(topic)), source)], packed="lz4"))
        await eventually(world.wrote([len(replays)]))
        log = DeadLetterLog(kafka_client(world.settings), consumer.dead_letter_topics)
        dead = world.prefix + dead
        listed = await log.letters(dead, 4, Letter.described)
        assert [each["bytes"] > MIB for each in listed] == [False, True, False, False]
        assert len((await log.letter(dead, 0, 1)).record.value) == 3 * MIB
        assert await log.replay(dead, 4) == 4
        await eventually(world.wrote([len(replays), len(dead) - len(world.prefix)]))
        await eventually(lambda: three_each(log))
        assert [await log.discard(each) for each in (dead, f"{world.prefix}{replays}.group.dlq")] == [3, 3]


async def three_each(log: DeadLetterLog) -> bool:
    return [each["count"] for each in await log.counts()] == [3, 3]
