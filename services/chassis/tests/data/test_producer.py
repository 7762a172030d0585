"""The producer connects in the background, whatever its client makes of the broker's first answers."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from chassis.kafka import KafkaProducer
from chassis.settings import KafkaSettings, ServiceSettings
from chassis.testing import eventually
from prometheus_client import REGISTRY


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


def checks(result: str) -> float:
    """How many questions ended so."""
    return REGISTRY.get_sample_value("kafka_checks_total", {"result": result}) or 0.0


async def moves(result: str) -> None:
    """Wait until two more questions end so."""
    for _ in range(2):
        before = checks(result)
        await eventually(lambda before=before: checks(result) > before, within=90)


@pytest.mark.contract("O12")
async def test_a_broker_that_goes_away_is_noticed_though_nobody_writes(
    kafka_environ: dict[str, str], kafka: Any
) -> None:
    producer = KafkaProducer(Settings.from_environ(kafka_environ), ask_every=0.1)
    await producer.start()
    try:
        await moves("answered")
        kafka.kill()
        try:
            await moves("failed")
            answered = checks("answered")
            await moves("failed")
            assert checks("answered") == answered, "nobody is there to answer"
        finally:
            kafka.start()
        await moves("answered")
    finally:
        await producer.stop()
