"""Liveness: it fails when a partition falls silent, and for no other reason."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka import TopicPartition
from chassis.errors import Unavailable
from chassis.received import Received
from chassis.testing import eventually
from chassis.transaction import Transaction
from prometheus_client import REGISTRY


async def settled(world: Any, consumer: Any) -> None:
    await world.send("things", world.message(0))
    await eventually(lambda: consumer._kafka and consumer._kafka.assignment())

    async def written() -> bool:
        return bool(await world.effects())

    await eventually(written)


def fall_silent(world: Any, consumer: Any) -> None:
    """What aio-libs/aiokafka#1154 looks like from outside: assigned, connected, and never another record."""
    consumer._kafka.pause(TopicPartition(world.prefix + "things", 0))


@pytest.mark.contract("E09")
async def test_it_barks_when_there_is_something_to_read_and_nothing_moves(world: Any) -> None:
    await world.topics("things")
    async with world.consuming({"things": world.write}) as consumer:
        await settled(world, consumer)
        fall_silent(world, consumer)
        await world.send("things", world.message(1))
        await eventually(lambda: not consumer.alive())
        assert not (await consumer.health()).up
        consumer._kafka.resume(TopicPartition(world.prefix + "things", 0))
        await eventually(consumer.alive)


async def outlasts(consumer: Any, seconds: float) -> None:
    since = time.monotonic()

    def still_alive() -> bool:
        if not consumer.alive():
            raise RuntimeError("the watchdog barked")
        return time.monotonic() - since > seconds

    await eventually(still_alive, within=seconds + 5)


async def test_it_is_quiet_when_there_is_nothing_to_read(world: Any) -> None:
    await world.topics("things")
    async with world.consuming({"things": world.write}) as consumer:
        await settled(world, consumer)
        fall_silent(world, consumer)
        await outlasts(consumer, 3)


async def test_a_partition_that_waits_for_its_turn_has_not_stalled(world: Any) -> None:
    await world.topics("things", partitions=3)
    for number in range(90):
        await world.producer.send(world.prefix + "things", world.message(number), key=b"key", partition=number % 3)
    await world.producer.flush()

    async def slow(event: Received, tx: Transaction) -> None:
        await asyncio.sleep(0.05)
        await world.write(event, tx)

    tuning = world.tuned(stall_seconds=2.0, watchdog_tick=0.05)
    async with world.consuming({"things": slow}, tuning=tuning) as consumer:

        async def all_done() -> bool:
            if not consumer.alive():
                raise RuntimeError("the watchdog barked")
            return len(await world.effects()) == 90

        await eventually(all_done, within=60)


async def test_a_scheduled_retry_is_progress(world: Any) -> None:
    await world.topics("things")

    async def handle(event: Received, tx: Transaction) -> None:
        raise Unavailable("redis")

    await world.send("things", world.message(0))
    async with world.consuming({"things": handle}) as consumer:
        await eventually(lambda: consumer._kafka)
        await outlasts(consumer, 4)


async def test_a_broker_that_does_not_answer_is_no_reason_for_a_restart(world: Any, kafka: Any) -> None:
    await world.topics("things")
    async with world.consuming({"things": world.write}, tuning=world.tuned(stall_seconds=3.0)) as consumer:
        await settled(world, consumer)
        fall_silent(world, consumer)
        await world.send("things", world.message(1))
        labels = {"group": "group", "topic": "things", "partition": "0"}
        await eventually(lambda: REGISTRY.get_sample_value("consumer_lag", labels) == 1)
        kafka.pause()
        try:
            await outlasts(consumer, 5)
        finally:
            kafka.resume()
        await outlasts(consumer, 1)
        await eventually(lambda: not consumer.alive(), within=30)
