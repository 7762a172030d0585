"""billing-service as a process would run it: HTTP, gRPC, its database and Kafka."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import grpc.aio
import httpx2
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from billing_service.main import create_app
from billing_service.settings import Settings
from chassis.testing import eventually, free_port, serve, token
from healthcare_contracts.billing_service_pb2 import CreateAccountRequest, CreateAccountResponse
from healthcare_contracts.billing_service_pb2_grpc import BillingServiceStub


class Billing:
    """A running billing-service and the clients of its three doors."""

    def __init__(self, environ: dict[str, str], base_url: str, grpc_port: int) -> None:
        self.environ = environ
        self.base_url = base_url
        self.grpc_port = grpc_port
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}")
        self.stub = BillingServiceStub(self.channel)
        self.http = httpx2.AsyncClient(base_url=base_url, headers={"Authorization": f"Bearer {token('ADMIN')}"})

    async def create(self, patient: uuid.UUID, **changes: str) -> CreateAccountResponse:
        request = {"patientId": str(patient), "email": "jane@example.com", "name": "Jane"} | changes
        return await self.stub.CreateAccount(CreateAccountRequest(**request), timeout=10)

    async def account(self, patient: uuid.UUID) -> dict[str, Any] | None:
        answer = await self.http.get(f"/billing/accounts/{patient}")
        assert answer.status_code in (200, 404), answer.text
        return answer.json() if answer.status_code == 200 else None

    async def has(self, patient: uuid.UUID, status: str) -> dict[str, Any]:
        """The account, once it is there with this status."""

        async def found() -> dict[str, Any] | None:
            account = await self.account(patient)
            return account if account and account["status"] == status else None

        return await eventually(found, within=30)

    async def send(self, topic: str, type: str, data: dict[str, Any], **envelope: Any) -> None:
        event = {
            "eventId": str(uuid.uuid4()),
            "type": type,
            "occurredAt": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "data": data,
        }
        value = json.dumps(event | envelope).encode()
        producer = AIOKafkaProducer(bootstrap_servers=self.environ["KAFKA_BOOTSTRAP_SERVERS"])
        await producer.start()
        try:
            await producer.send_and_wait(
                self.environ["KAFKA_TOPIC_PREFIX"] + topic, value, key=str(data.get("patientId")).encode()
            )
        finally:
            await producer.stop()

    async def request(self, patient: uuid.UUID, email: str = "jane@example.com") -> None:
        """Ask for an account by event."""
        data = {"patientId": str(patient), "name": "Jane", "email": email}
        await self.send("billing-account", "billing.account.requested", data)

    async def delete(self, patient: uuid.UUID) -> None:
        await self.send("patient.deleted", "patient.deleted", {"patientId": str(patient), "version": 3})

    async def said(self, patient: uuid.UUID, type: str = "billing.account.created") -> list[ConsumerRecord]:
        """The events of a type on billing-account that concern a patient."""
        topic = self.environ["KAFKA_TOPIC_PREFIX"] + "billing-account"
        reader = AIOKafkaConsumer(bootstrap_servers=self.environ["KAFKA_BOOTSTRAP_SERVERS"])
        await reader.start()
        try:
            records = []
            partitions = [TopicPartition(topic, p) for p in await reader._client._wait_on_metadata(topic)]
            reader.assign(partitions)
            for partition, end in (await reader.end_offsets(partitions)).items():
                reader.seek(partition, 0)
                while await reader.position(partition) < end:
                    records.append(await reader.getone(partition))
        finally:
            await reader.stop()
        return [r for r in records if r.key == str(patient).encode() and json.loads(r.value)["type"] == type]

    async def close(self) -> None:
        await self.http.aclose()
        await self.channel.close()


@asynccontextmanager
async def running(environ: dict[str, str], **changes: str) -> AsyncIterator[Billing]:
    port = free_port()
    environ = environ | {"BILLING_SERVICE_GRPC_PORT": str(port)} | changes
    async with serve(create_app(Settings.from_environ(environ))) as base_url:
        billing = Billing(environ, base_url, port)
        try:
            yield billing
        finally:
            await billing.close()


@pytest.fixture
def start(environ: dict[str, str]) -> Any:
    """`async with start(VARIABLE="value") as billing:`, on the module's database and topics."""

    def starting(**changes: str) -> Any:
        return running(environ, **changes)

    return starting


@pytest.fixture
async def billing(environ: dict[str, str]) -> AsyncIterator[Billing]:
    async with running(environ) as service:
        yield service
