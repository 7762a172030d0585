"""Appointments and events: the enriched list over its raw SQL, and an update's way to the projection over raw Kafka."""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import httpx2 as httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from appointment_service.queries import APPOINTMENTS

from bench.measure import Pairs, Ratio, Wrong, compare, percentile
from bench.world import World, headers

UPDATES = 150

FILL = """
INSERT INTO cached_patient (patient_id, name, name_key, email, phone, address, version)
SELECT md5(n::text)::uuid, 'Person ' || n, 'person ' || n, n || '@example.org', '1', '1 Road', 1
FROM generate_series(1, 20000) n;
INSERT INTO appointment (id, patient_id, start_time, end_time, notes, status, version)
SELECT gen_random_uuid(), md5((1 + n % 20000)::text)::uuid, timestamp '2026-01-01' + n * interval '10 minutes',
  timestamp '2026-01-01' + n * interval '10 minutes' + interval '30 minutes', 'a note', 'SCHEDULED', 1
FROM generate_series(1, 200000) n;
VACUUM ANALYZE appointment; VACUUM ANALYZE cached_patient;
"""
SPAN = {"since": datetime(2026, 3, 1), "until": datetime(2026, 5, 1)}  # noqa: DTZ001 - local times, as everywhere


def appointments(world: World) -> Iterator[Ratio]:
    """`GET /appointments` with a span, uncached: the request at the service over its two statements run bare."""
    dsn = world.database("appointment_service")
    with world.service("appointment_service", cpu=None, SERVICE_ROLES="api", CACHE_TYPE="none") as url:
        world.postgres.execute(FILL, "appointment_service")
        statements = [APPOINTMENTS.page((), ("from", "to")), APPOINTMENTS.count(("from", "to"))]

        async def served() -> float:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            lines = [f"GET {path} HTTP/1.1", "Host: bench", f"Authorization: {headers()['Authorization']}"]
            question = "\r\n".join([*lines, "", ""]).encode()

            async def ask() -> None:
                writer.write(question)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if not head.startswith(b"http/1.1 200"):
                    raise Wrong("the list is not answered")
                await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))

            try:
                return await median(ask)
            finally:
                writer.close()

        async def bare() -> float:
            connection = await asyncpg.connect(dsn)
            try:
                values = [each.arguments({**SPAN, **extra}) for each, extra in zip(statements, EXTRAS, strict=True)]

                async def both() -> None:
                    await connection.fetch(statements[0].sql, *values[0])
                    await connection.fetchval(statements[1].sql, *values[1])

                return await median(both)
            finally:
                await connection.close()

        path = f"/appointments?size=100&from={SPAN['since'].isoformat()}&to={SPAN['until'].isoformat()}"
        yield compare(
            "enriched list over its raw SQL",
            "s",
            lambda: asyncio.run(served()),
            lambda: asyncio.run(bare()),
            better="lower",
            floor=1.5,
            goal=1.15,
        )


EXTRAS: tuple[dict[str, int], dict[str, int]] = ({"limit": 100, "offset": 0}, {})


async def median(act) -> float:  # type: ignore[no-untyped-def]
    """The median seconds of sixty calls after five."""
    figures = []
    for number in range(65):
        started = time.perf_counter()
        await act()
        if number >= 5:
            figures.append(time.perf_counter() - started)
    return percentile(figures, 50)


def projection(world: World) -> Iterator[Ratio]:
    """An update's answer → its row in the projection, over a record's way through Kafka from producer to consumer."""
    world.database("patient_service")
    world.database("appointment_service")
    with (
        world.service("patient_service", cpu=None, BILLING_SERVICE_ADDRESS="127.0.0.1:1") as patients,
        world.service("appointment_service", cpu=None) as _,
    ):
        ours, theirs = asyncio.run(both_ways(world, patients))
    for percent, floor, goal in ((50, 3, 2), (99, 5, 3)):
        mine, raw = percentile(ours, percent), percentile(theirs, percent)
        pairs = Pairs([mine], [raw])
        yield Ratio(
            f"update → projection over raw Kafka, p{percent}",
            "s",
            mine,
            raw,
            mine / raw,
            mine / raw,
            mine / raw,
            "lower",
            floor,
            goal,
            pairs=len(ours),
            disturbed=pairs.disturbed,
        )


async def both_ways(world: World, patients: str) -> tuple[list[float], list[float]]:
    """Seconds of each update and of each raw record, in turn."""
    topic = f"bench.{uuid.uuid4().hex[:6]}"
    producer = AIOKafkaProducer(bootstrap_servers=world.kafka.bootstrap_servers, acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(bootstrap_servers=world.kafka.bootstrap_servers)
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    admin = AIOKafkaAdminClient(bootstrap_servers=world.kafka.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    await producer.start()
    consumer.subscribe([topic])
    await consumer.start()
    password = world.database("appointment_service")
    connection = await asyncpg.connect(password)
    ours, theirs = [], []
    try:
        async with httpx.AsyncClient(base_url=patients, headers=headers(), timeout=10) as client:
            body = {
                "name": "John Doe",
                "email": f"{uuid.uuid4().hex}@example.com",
                "address": "1 Road",
                "dateOfBirth": "1990-01-01",
            }
            made = (await client.post("/patients", json=body)).json()
            for number in range(UPDATES + 10):
                update = await one_update(client, connection, body, made["id"], number)
                raw = await one_record(producer, consumer, topic)
                if number >= 10:
                    ours.append(update)
                    theirs.append(raw)
    finally:
        await connection.close()
        await consumer.stop()
        await producer.stop()
    return ours, theirs


async def one_update(
    client: httpx.AsyncClient, connection: asyncpg.Connection, body: dict[str, str], id: str, number: int
) -> float:
    """From the answer to PUT until the projection's row has the new name."""
    name = f"Name {number} {datetime.now(UTC).timestamp()}"
    answer = await client.put(f"/patients/{id}", json=body | {"name": name})
    if answer.status_code != 200:
        raise Wrong(f"PUT answered {answer.status_code}")
    started = time.perf_counter()
    while await connection.fetchval("SELECT name FROM cached_patient WHERE patient_id = $1", uuid.UUID(id)) != name:
        if time.perf_counter() - started > 10:
            raise Wrong("the projection does not follow")
        await asyncio.sleep(0.0002)
    return time.perf_counter() - started


async def one_record(producer: AIOKafkaProducer, consumer: AIOKafkaConsumer, topic: str) -> float:
    """From send until the consumer has it."""
    value = json.dumps({"name": "John Doe", "padding": "x" * 300}).encode()
    started = time.perf_counter()
    await producer.send(topic, value)
    await consumer.getone()
    return time.perf_counter() - started
