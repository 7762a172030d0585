"""The appointment service under a real server, with a producer that plays the patients' side of Kafka."""

import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2 as httpx
import pytest
from aiokafka import AIOKafkaProducer
from appointment_service.main import create_app
from appointment_service.settings import Settings
from chassis.testing import serve, token


def visit(patient: str | uuid.UUID | None = None, **changes: Any) -> dict[str, Any]:
    """A create body."""
    body = {
        "patientId": str(patient or uuid.uuid4()),
        "startTime": "2026-05-20T09:00:00",
        "endTime": "2026-05-20T09:30:00",
    }
    return body | changes


class Patients:
    """Writes patients' events as patient-service does."""

    def __init__(self, producer: AIOKafkaProducer, prefix: str) -> None:
        self._producer = producer
        self._prefix = prefix

    async def send(self, topic: str, patient: uuid.UUID, data: dict[str, Any] | None, **envelope: Any) -> bytes | None:
        event = {
            "eventId": str(uuid.uuid4()),
            "type": topic,
            "occurredAt": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "data": data,
        }
        value = None if data is None else json.dumps(event | envelope).encode()
        await self.raw(topic, patient, value)
        return value

    async def raw(self, topic: str, patient: uuid.UUID, value: bytes | None, headers: Any = None) -> None:
        await self._producer.send_and_wait(self._prefix + topic, value, key=str(patient).encode(), headers=headers)

    async def tell(
        self,
        topic: str,
        patient: uuid.UUID,
        version: int | None,
        name: str = "John Doe",
        email: str = "john@example.com",
        **envelope: Any,
    ) -> bytes | None:
        data = {
            "patientId": str(patient),
            "name": name,
            "email": email,
            "phone": "+1-555-0102",
            "address": "123 Main St",
            "attributes": {"gender": "M", "dob": "1990-01-01"},
        }
        return await self.send(topic, patient, data if version is None else data | {"version": version}, **envelope)

    async def delete(self, patient: uuid.UUID, version: int) -> None:
        await self.send("patient.deleted", patient, {"patientId": str(patient), "version": version})


@pytest.fixture(scope="session")
def body() -> Any:
    return visit


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return Settings.from_environ(environ)


@pytest.fixture
async def url(settings: Settings) -> AsyncIterator[str]:
    async with serve(create_app(settings)) as url:
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {token('USER')}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as client:
        yield client


@pytest.fixture
async def patients(url: str, settings: Settings) -> AsyncIterator[Patients]:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await producer.start()
    yield Patients(producer, settings.kafka_topic_prefix)
    await producer.stop()
