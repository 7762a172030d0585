"""The producer connects in the background, whatever its client makes of the broker's first answers."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer
from chassis.kafka import KafkaProducer
from chassis.settings import KafkaSettings, ServiceSettings


class Settings(ServiceSettings, KafkaSettings):
    service_name = "producer-test"
    port: int = 0


@pytest.mark.contract("D02")
async def test_it_outlives_what_its_client_asserts(
    kafka_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that comes back is fenced at first and names no broker; aiokafka has a bare assertion for that."""
    start, failures = AIOKafkaProducer.start, [AssertionError("no broker"), RuntimeError("no broker")]

    async def confused(producer: AIOKafkaProducer) -> None:
        if failures:
            raise failures.pop()
        await start(producer)

    monkeypatch.setattr(AIOKafkaProducer, "start", confused)
    producer = KafkaProducer(Settings.from_environ(kafka_environ))
    await producer.start()
    try:
        async with asyncio.timeout(30):
            await producer.ready()
        assert (await producer.health()).up
    finally:
        await producer.stop()
