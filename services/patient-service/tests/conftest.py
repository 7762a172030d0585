"""The patient service under a real server, on real PostgreSQL, Valkey and Kafka."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx2 as httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from chassis.testing import serve, token
from patient_service.main import create_app
from patient_service.settings import Settings


def person(**changes: Any) -> dict[str, Any]:
    """A create body whose email nobody else has."""
    body = {
        "name": "John Doe",
        "email": f"{uuid.uuid4().hex}@example.com",
        "address": "123 Main St",
        "dateOfBirth": "1990-01-01",
    }
    return body | changes


@pytest.fixture(scope="session")
def new() -> Any:
    return person


@pytest.fixture
async def url(environ: dict[str, str]) -> AsyncIterator[str]:
    settings = Settings.from_environ(environ | {"BILLING_SERVICE_ADDRESS": "127.0.0.1:1"})
    async with serve(create_app(settings)) as url:
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {token('ADMIN')}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as client:
        yield client


async def _records(environ: dict[str, str], topic: str, key: str) -> list[Any]:
    """All records of a key; partitions are read in full."""
    reader = AIOKafkaConsumer(bootstrap_servers=environ["KAFKA_BOOTSTRAP_SERVERS"])
    await reader.start()
    try:
        name = environ["KAFKA_TOPIC_PREFIX"] + topic
        partitions = [TopicPartition(name, number) for number in range(3)]
        reader.assign(partitions)
        ends = await reader.end_offsets(partitions)
        for partition in partitions:
            reader.seek(partition, 0)
        found = [await reader.getone() for _ in range(sum(ends.values()))]
        return [record for record in found if record.key == key.encode()]
    finally:
        await reader.stop()


@pytest.fixture(scope="session")
def records() -> Any:
    return _records
