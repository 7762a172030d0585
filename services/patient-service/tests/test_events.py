"""What patients tell the world, and what the world tells them: events, cache, billing, demo data."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import grpc
import httpx2 as httpx
import pytest
from aiokafka import AIOKafkaProducer
from chassis.testing import eventually, free_port, serve, token
from healthcare_contracts.billing_service_pb2 import CreateAccountResponse
from healthcare_contracts.billing_service_pb2_grpc import BillingServiceServicer, add_BillingServiceServicer_to_server
from healthcare_contracts.schemas import closed_schema_of
from jsonschema import Draft202012Validator
from patient_service.main import create_app
from patient_service.settings import Settings
from redis.asyncio import Redis

ADMIN = {"Authorization": f"Bearer {token('ADMIN')}"}


@pytest.mark.contract("P07", "P08", "E02", "E03", "E04", "D01", "D03", "O14")
async def test_create_and_update_are_published_in_the_documented_form(client, new, environ, records) -> None:
    headers = {"X-Request-ID": "from-the-client-42"}
    body = new(phone="+1-555-0102", gender="M")
    created = (await client.post("/patients", json=body, headers=headers)).json()
    await client.put(f"/patients/{created['id']}", json=body | {"name": "Jane Doe"})

    async def published(topic: str) -> Any:
        return await eventually(lambda: records(environ, topic, created["id"]))

    first, second = (await published("patient.created"))[0], (await published("patient.updated"))[0]
    assert dict(first.headers)["x-request-id"] == b"from-the-client-42"
    for record, name, version in ((first, "John Doe", 1), (second, "Jane Doe", 2)):
        event = json.loads(record.value)
        Draft202012Validator(closed_schema_of(event["type"])).validate(event)
        assert event["data"] == {
            "patientId": created["id"],
            "name": name,
            "email": body["email"],
            "phone": "+1-555-0102",
            "address": "123 Main St",
            "attributes": {"gender": "M", "dob": "1990-01-01"},
            "version": version,
        }


@pytest.mark.contract("D06", "D16")
async def test_a_deletion_is_published_and_clears_the_compacted_topics(client, new, environ, records) -> None:
    created = (await client.post("/patients", json=new())).json()
    assert (await client.delete(f"/patients/{created['id']}")).status_code == 204

    async def cleared() -> bool:
        last = {
            topic: (await records(environ, topic, created["id"]) or [None])[-1]
            for topic in ("patient.created", "patient.updated", "patient.deleted")
        }
        if None in last.values():
            return False
        gone = json.loads(last["patient.deleted"].value)["data"]
        assert gone == {"patientId": created["id"], "version": 2}
        return last["patient.created"].value is None and last["patient.updated"].value is None

    await eventually(cleared)


@pytest.mark.contract("P11", "P13", "P14")
async def test_a_read_fills_the_cache_for_a_while_and_is_counted(client, url, new, environ) -> None:
    path = (await client.post("/patients", json=new())).headers["Location"]

    async def counted(result: str) -> float:
        lines = (await client.get("/actuator/prometheus")).text.splitlines()
        start = f'cache_requests_total{{cache="patients",key_pattern="{{id}}",result="{result}"}} '
        return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))

    await asyncio.sleep(0)
    misses, hits = await counted("miss"), await counted("hit")
    first = await client.get(path)
    second = await client.get(path)
    assert first.content == second.content
    assert await counted("miss") == misses + 1
    assert await counted("hit") == hits + 1
    redis = Redis(
        host=environ["REDIS_HOST"],
        port=int(environ["REDIS_PORT"]),
        password=environ["REDIS_PASSWORD"],
        db=int(environ["REDIS_DATABASE"]),
    )
    async with redis:
        (entry,) = await redis.keys(f"patients:2-*:{path.rpartition('/')[2]}")
        left = await redis.ttl(entry)
    assert 0 < left <= 330


@pytest.mark.contract("P12")
async def test_an_update_evicts_on_every_replica_also_when_the_writer_could_not(client, new, environ) -> None:
    settings = Settings.from_environ(environ | {"BILLING_SERVICE_ADDRESS": "127.0.0.1:1"})
    async with serve(create_app(settings)) as second, httpx.AsyncClient(base_url=second, headers=ADMIN) as other:
        created = (await client.post("/patients", json=new())).json()
        path = f"/patients/{created['id']}"
        for reader in (client, other):
            assert (await reader.get(path)).json()["name"] == "John Doe"
        await client.put(path, json=new(name="Jane Doe"))
        for reader in (client, other):
            assert (await reader.get(path)).json()["name"] == "Jane Doe"


@pytest.mark.contract("P12")
async def test_the_topic_alone_evicts(client, new, environ, database_url) -> None:
    created = (await client.post("/patients", json=new())).json()
    path = f"/patients/{created['id']}"
    assert (await client.get(path)).json()["name"] == "John Doe"
    # A writer that died between its commit and its eviction: the row is new, the entry old, the event on its way.
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE patient SET name = 'Jane Doe' WHERE id = $1", uuid.UUID(created["id"]))
    await connection.close()
    assert (await client.get(path)).json()["name"] == "John Doe"
    producer = AIOKafkaProducer(bootstrap_servers=environ["KAFKA_BOOTSTRAP_SERVERS"])
    await producer.start()
    event = {
        "eventId": str(uuid.uuid4()),
        "type": "patient.updated",
        "occurredAt": "2026-01-01T00:00:00Z",
        "data": {"patientId": created["id"], "name": "Jane Doe", "email": "j@example.com", "version": 2},
    }
    topic = environ["KAFKA_TOPIC_PREFIX"] + "patient.updated"
    await producer.send_and_wait(topic, json.dumps(event).encode(), key=created["id"].encode())
    await producer.stop()

    async def fresh() -> bool:
        return (await client.get(path)).json()["name"] == "Jane Doe"

    await eventually(fresh)


class Billing(BillingServiceServicer):
    """A billing service that remembers its calls, and can be told to fail."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failing = 0
        self.delay = 0.0

    async def CreateAccount(self, request, context):
        self.calls.append(request.patientId)
        await asyncio.sleep(self.delay)
        if self.failing:
            self.failing -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return CreateAccountResponse(accountId=str(uuid.uuid4()), status="CREATED")


@asynccontextmanager
async def with_billing(environ: dict[str, str], **more: str) -> AsyncIterator[tuple[Billing, httpx.AsyncClient]]:
    billing, port = Billing(), free_port()
    server = grpc.aio.server()
    add_BillingServiceServicer_to_server(billing, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    settings = Settings.from_environ(environ | {"BILLING_SERVICE_ADDRESS": f"127.0.0.1:{port}"} | more)
    try:
        async with (
            serve(create_app(settings)) as url,
            httpx.AsyncClient(base_url=url, headers=ADMIN, timeout=10) as client,
        ):
            yield billing, client
    finally:
        await server.stop(0)


@pytest.mark.contract("P09", "B05")
async def test_billing_is_called_once_and_a_flaky_one_again(environ, new, records) -> None:
    async with with_billing(environ) as (billing, client):
        for failures in (0, 1):
            billing.failing = failures
            created = (await client.post("/patients", json=new())).json()
            assert created["billingStatus"] == "PENDING"
            path, version = f"/patients/{created['id']}", created["version"]

            async def active(path: str = path) -> bool:
                return (await client.get(path)).json()["billingStatus"] == "ACTIVE"

            await eventually(active)
            assert billing.calls.count(created["id"]) == 1 + failures
            assert (await client.get(path)).json()["version"] == version
        assert await records(environ, "patient.updated", created["id"]) == []


@pytest.mark.contract("B05", "B07")
async def test_a_slow_or_absent_billing_neither_delays_nor_fails_the_201(environ, new, records) -> None:
    async with with_billing(environ, BILLING_TIMEOUT_SECONDS="0.2") as (billing, client):
        billing.delay = 5
        loop = asyncio.get_running_loop()
        started = loop.time()
        created = (await client.post("/patients", json=new())).json()
        assert loop.time() - started < 1

        async def asked() -> bool:
            found = await records(environ, "billing-account", created["id"])
            return [json.loads(record.value)["type"] for record in found] == ["billing.account.requested"]

        await eventually(asked, within=15)


@pytest.mark.contract("B04", "B07", "D03")
async def test_the_answer_on_the_topic_makes_the_patient_active(client, new, environ) -> None:
    created = (await client.post("/patients", json=new())).json()
    assert (await client.get(f"/patients/{created['id']}")).json()["billingStatus"] == "PENDING"
    data = {"patientId": created["id"], "accountId": str(uuid.uuid4()), "status": "ACTIVE"}
    event = {
        "eventId": str(uuid.uuid4()),
        "type": "billing.account.created",
        "occurredAt": "2026-01-01T00:00:00Z",
        "data": data,
    }
    producer = AIOKafkaProducer(bootstrap_servers=environ["KAFKA_BOOTSTRAP_SERVERS"])
    await producer.start()
    topic = environ["KAFKA_TOPIC_PREFIX"] + "billing-account"
    await producer.send_and_wait(topic, json.dumps(event).encode(), key=created["id"].encode())
    await producer.stop()

    async def active() -> bool:
        read = (await client.get(f"/patients/{created['id']}")).json()
        return read["billingStatus"] == "ACTIVE" and read["version"] == 1

    await eventually(active)


@pytest.mark.contract("B07")
async def test_the_sweeper_asks_again_for_what_a_crash_left_pending(environ, new, database_url, records) -> None:
    settings = Settings.from_environ(
        environ | {"BILLING_SERVICE_ADDRESS": "127.0.0.1:1", "BILLING_SWEEP_SECONDS": "0.3"}
    )
    async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url, headers=ADMIN) as client:
        created = (await client.post("/patients", json=new())).json()

        async def asked_twice() -> bool:
            return len(await records(environ, "billing-account", created["id"])) >= 2

        await eventually(asked_twice, within=20)


@pytest.mark.contract("P20", "V04", "V07")
async def test_demo_patients_are_seeded_once_and_stay_deleted(postgres, environ, records) -> None:
    name = f"demo_{uuid.uuid4().hex[:8]}"
    postgres.create_database(name, "secret")
    fresh = {
        "DATABASE_URL": f"postgresql://{postgres.host}:{postgres.port}/{name}",
        "DATABASE_USER": name,
        "DATABASE_PASSWORD": "secret",
        "SQL_INIT_MODE": "always",
        "BILLING_SERVICE_ADDRESS": "127.0.0.1:1",
        "KAFKA_TOPIC_PREFIX": f"t{uuid.uuid4().hex[:8]}.",
    }
    settings = Settings.from_environ(environ | fresh)
    first = "123e4567-e89b-12d3-a456-426614174000"
    async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url, headers=ADMIN) as client:
        assert (await client.get(f"/patients/{first}")).json()["name"] == "John Doe"
        people = (await client.get("/patients")).json()["totalElements"]
        assert people == 5
        published = await eventually(lambda: records(environ | fresh, "patient.created", first))
        assert json.loads(published[0].value)["data"]["name"] == "John Doe"
        assert (await client.delete(f"/patients/{first}")).status_code == 204
    async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url, headers=ADMIN) as client:
        assert (await client.get("/patients")).json()["totalElements"] == people - 1
        assert (await client.get(f"/patients/{first}")).status_code == 404


@pytest.mark.contract("P10", "P15")
async def test_patients_survive_a_restart_and_health_names_the_parts(environ, new) -> None:
    settings = Settings.from_environ(environ | {"BILLING_SERVICE_ADDRESS": "127.0.0.1:1"})
    async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url, headers=ADMIN) as client:
        path = (await client.post("/patients", json=new())).headers["Location"]
    async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url, headers=ADMIN) as client:
        assert (await client.get(path)).status_code == 200
        health = (await client.get("/actuator/health")).json()
        assert health["status"] == "UP"
        assert {"db", "redis", "kafka"} <= health["components"].keys()
        assert "db_pool_connections" in (await client.get("/actuator/metrics")).text
