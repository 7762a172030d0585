"""Outages, rebalances and kills of the real servers and of the consumer's own process."""

import asyncio
import os
import signal
import sys
import textwrap
import time
from typing import Any

import pytest
from chassis.errors import Unavailable
from chassis.received import Received
from chassis.testing import eventually
from chassis.transaction import Transaction


def membership(consumer: Any) -> tuple[str, int]:
    coordinator = consumer._kafka._coordinator
    return coordinator.member_id, coordinator.generation


@pytest.mark.contract("E09", "D02")
async def test_a_database_outage_longer_than_the_poll_interval_loses_nothing(world: Any, postgres: Any) -> None:
    await world.topics("things", partitions=3)
    tuning = world.tuned(max_poll_interval_ms=2000)
    async with world.consuming({"things": world.write}, tuning=tuning) as consumer:
        await world.send("things", world.message(0), partition=0)
        await eventually(world.wrote([0]))
        before = membership(consumer)
        postgres.kill()
        try:
            down_since = time.monotonic()
            for number in range(1, 31):
                await world.send("things", world.message(number), partition=number % 3)
            await eventually(lambda: time.monotonic() - down_since > 5, within=15)
            assert consumer.alive()
        finally:
            postgres.start()
        await eventually(world.wrote(range(31), in_order=False), within=20)
        assert membership(consumer) == before, "it was thrown out of the group"
    assert await world.dead_letters("things") == []


@pytest.mark.contract("E09")
async def test_a_neighbours_outage_longer_than_the_poll_interval_keeps_order_and_membership(world: Any) -> None:
    await world.topics("things")
    down = True

    async def handle(event: Received, tx: Transaction) -> None:
        if down:
            raise Unavailable("redis")
        await world.write(event, tx)

    await world.send("things", *[world.message(number) for number in range(5)])
    async with world.consuming({"things": handle}, tuning=world.tuned(max_poll_interval_ms=1500)) as consumer:
        await eventually(lambda: consumer._kafka and consumer._kafka.assignment())
        before, since = membership(consumer), time.monotonic()
        await eventually(lambda: time.monotonic() - since > 4, within=10)
        assert await world.committed("things") in (None, 0)
        down = False
        await eventually(world.wrote(range(5)))
        assert membership(consumer) == before
    assert await world.dead_letters("things") == []


@pytest.mark.contract("E09")
async def test_a_killed_broker_that_comes_back_loses_nothing(world: Any, kafka: Any) -> None:
    await world.topics("things", partitions=2)
    async with world.consuming({"things": world.write}, inbox=True) as consumer:
        for number in range(10):
            await world.send("things", world.message(number), partition=number % 2)
        await eventually(world.wrote(range(10), in_order=False))
        kafka.kill()
        await eventually(lambda: not kafka.running)
        assert consumer.alive()
        kafka.start()
        for number in range(10, 20):
            await world.send("things", world.message(number), partition=number % 2)
        await eventually(world.wrote(range(20), in_order=False), within=60)
        assert consumer.alive()
    assert await world.dead_letters("things") == []


@pytest.mark.contract("E09")
async def test_a_consumer_started_without_a_broker_joins_when_it_comes(world: Any, kafka: Any) -> None:
    await world.topics("things")
    await world.send("things", world.message(1))
    kafka.stop()
    try:
        consumer = world.consumer()
        consumer.subscribe({"things": world.write}, [world.terms("things")])
        await consumer.start()
        assert not (await consumer.health()).up
        assert consumer.alive()
    finally:
        kafka.start()
    try:
        await eventually(world.wrote([1]), within=60)
        assert (await consumer.health()).up
    finally:
        await consumer.stop()


async def test_a_topic_that_is_made_later_is_waited_for(world: Any) -> None:
    async with world.consuming({"things": world.write}) as consumer:
        await world.topics("others")
        assert consumer.alive()
        await world.topics("things")
        await world.send("things", world.message(1))
        await eventually(world.wrote([1]), within=30)


@pytest.mark.contract("E09")
async def test_members_come_and_go_and_every_message_takes_effect_once(world: Any) -> None:
    await world.topics("things", partitions=4)
    sent = 0

    async def send_some(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            await world.send("things", world.message(sent), partition=sent % 4)
            sent += 1

    async with world.consuming({"things": world.write}, inbox=True) as first:
        await send_some(40)
        async with world.consuming({"things": world.write}, inbox=True) as second:
            await send_some(40)
            await eventually(lambda: assigned(second, "things") == 2, within=30)
            await eventually(lambda: assigned(first, "things") == 2)
            await send_some(40)
            await eventually(world.wrote(range(120), in_order=False), within=30)
        await send_some(40)
        await eventually(world.wrote(range(160), in_order=False), within=30)
    numbers = await world.effects()
    for partition in range(4):
        mine = [number for number in numbers if number % 4 == partition]
        assert mine == sorted(mine), "a partition's order was lost"


def assigned(consumer: Any, topic: str) -> int:
    """How many partitions of a topic a member has."""
    return sum(each.topic.endswith(topic) for each in consumer._kafka.assignment()) if consumer._kafka else 0


VICTIM = """
    import asyncio, json, os, signal, sys
    sys.path.insert(0, os.environ["TEST_FOLDER"])
    from conftest import FAST, Contract, Settings, write
    from chassis.consumer import Consumer
    from chassis.db import Database
    from chassis.kafka import KafkaProducer

    async def handle(event, tx):
        await write(event, tx)
        if event.data["number"] == 3:
            async def die():
                os.kill(os.getpid(), signal.SIGKILL)
            tx.after_commit(die)

    async def main():
        settings = Settings.from_environ(json.loads(os.environ["TEST_SETTINGS"]))
        database, producer = Database(settings), KafkaProducer(settings)
        consumer = Consumer(settings, group="group", database=database, producer=producer, tuning=FAST)
        consumer.subscribe({"things": handle}, [Contract("things")], inbox=True)
        for part in (database, producer, consumer):
            await part.start()
        await asyncio.Event().wait()

    asyncio.run(main())
"""


@pytest.mark.contract("D02", "Q15")
async def test_kill_9_between_the_commit_and_the_offset_repeats_the_message_not_its_effect(world: Any) -> None:
    await world.topics("things")
    await world.send("things", *[world.message(number) for number in range(6)])
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(VICTIM), env=os.environ | world.child_environ()
    )
    async with asyncio.timeout(60):
        assert await victim.wait() == -signal.SIGKILL
    assert await world.effects() == [0, 1, 2, 3]
    assert (await world.committed("things") or 0) <= 3, "the offset of a message whose handling had not ended"
    async with world.consuming({"things": world.write}, inbox=True):
        await eventually(world.wrote(range(6)), within=30)


async def test_a_stop_finishes_the_message_in_hand(world: Any) -> None:
    await world.topics("things")
    began, gate = asyncio.Event(), asyncio.Event()

    async def handle(event: Received, tx: Transaction) -> None:
        began.set()
        await gate.wait()
        await world.write(event, tx)

    await world.send("things", world.message(1), world.message(2))
    consumer = world.consumer()
    consumer.subscribe({"things": handle}, [world.terms("things")])
    await consumer.start()
    await began.wait()
    stopping = asyncio.create_task(consumer.stop())
    gate.set()
    await stopping
    assert await world.effects() == [1]
    assert await world.committed("things") == 1
