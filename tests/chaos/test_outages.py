"""Processes die and freeze under load; afterwards every copy equals its source."""

import asyncio
import os
import subprocess
import sys
import uuid

import httpx2 as httpx
import pytest
from chassis.testing import eventually, free_port
from hpctl.environment import environment
from hpctl.layout import service_named
from hpctl.probe import listens

from tests.chaos.platform import TOPICS

FROZEN_SECONDS = 20
"""A producer waits 10 s for an answer, and so long a consumer's session lives."""


async def load(platform, *, writers: int = 4, count: int = 25, must: bool = False) -> None:
    await asyncio.gather(*(platform.write(count, must=must) for _ in range(writers)))


@pytest.mark.contract("E09", "D02")
async def test_kafka_killed_during_writes(platform) -> None:
    """All writes are answered 201 while the broker is away and coming back; everything arrives after."""
    writing = asyncio.create_task(load(platform, must=True))
    await asyncio.sleep(0.3)
    platform.kill("kafka")
    await writing
    await load(platform, writers=2, count=10, must=True)
    await platform.settled(within=90)


@pytest.mark.contract("E09", "D02")
async def test_kafka_dead_for_a_minute_of_writes(platform) -> None:
    """Connections are refused for a whole minute: all writes are answered 201, wait, and arrive after."""
    writing = asyncio.create_task(load(platform, must=True))
    await asyncio.sleep(0.3)
    known = len(platform.created)
    with platform.kept_down("kafka"):
        deadline = asyncio.get_running_loop().time() + 60
        while asyncio.get_running_loop().time() < deadline:
            await platform.write(5, must=True, pause=0.2)
            assert not listens(platform.layout.port("KAFKA_PORT"))
        await writing
        waiting = (await platform.query("patient_service", "SELECT count(*) AS n FROM outbox"))[0]["n"]
        assert waiting >= len(platform.created) - known > 60
    await platform.settled(within=120)


@pytest.mark.contract("E09")
async def test_kafka_frozen_during_writes(platform) -> None:
    """Connections stay open and nothing answers, until requests time out and sessions end."""
    with platform.frozen("kafka"):
        deadline = asyncio.get_running_loop().time() + FROZEN_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            await platform.write(5, must=True, pause=0.2)
    await platform.settled(within=120)


async def test_postgresql_killed_under_load(platform) -> None:
    writing = asyncio.create_task(load(platform, count=40))
    await asyncio.sleep(0.5)
    platform.kill("postgres")
    await writing
    await platform.up(4000, 4001, 4002, 4005, 4006)
    await platform.settled(within=90)


@pytest.mark.contract("P12")
async def test_redis_killed_and_so_flushed(platform) -> None:
    """No write fails, no read fails, and no read is old."""
    writing = asyncio.create_task(load(platform, count=30, must=True))
    await asyncio.sleep(0.3)
    platform.kill("valkey")
    await writing
    async with platform.client() as client:
        for patient in platform.created[-20:]:
            read = (await client.get(f"/patients/{patient['id']}")).json()
            row = await platform.query(
                "patient_service", "SELECT name FROM patient WHERE id = $1", uuid.UUID(patient["id"])
            )
            assert read["name"] == row[0]["name"]
    await platform.settled()


@pytest.mark.contract("B07", "W10")
async def test_billing_away_during_creates(platform) -> None:
    """Frozen while patients are created, then killed: one account each in the end, and all ACTIVE."""
    before = len(platform.created)
    with platform.frozen("billing-service"):
        await load(platform, writers=3, count=8, must=True)
        answer = await asyncio.to_thread(_gateway_status, platform, "/api/patients?size=1")
        assert answer == 200
    platform.kill("billing-service")
    await load(platform, writers=2, count=5, must=True)
    ids = [uuid.UUID(each["id"]) for each in platform.created[before:]]

    async def all_active() -> bool:
        active = "SELECT count(*) AS n FROM patient WHERE id = ANY($1) AND billing_status = 'ACTIVE'"
        return (await platform.query("patient_service", active, ids))[0]["n"] == len(ids)

    await eventually(all_active, within=90, every=0.3)
    accounts = "SELECT patient_id, count(*) AS n FROM billing_account WHERE patient_id = ANY($1) GROUP BY patient_id"
    rows = await platform.query("billing_service", accounts, ids)
    assert sorted((row["patient_id"], row["n"]) for row in rows) == sorted((each, 1) for each in ids)
    await platform.settled()


def _gateway_status(platform, path: str) -> int:
    with platform.stack.client() as client:
        return client.get(path).status_code


@pytest.mark.contract("Q11", "W10", "E13")
async def test_without_the_patient_service_appointments_are_read(platform) -> None:
    with platform.frozen("patient-service"), platform.stack.client() as client:
        listed = client.get("/api/appointments?size=5")
        assert listed.status_code == 200
        assert client.get("/api/analytics/summary").status_code == 200


@pytest.mark.contract("E11")
async def test_one_poison_message_in_a_hundred(platform) -> None:
    async with platform.topics.producer() as producer:
        for number in range(3):
            await platform.write(50, must=True, pause=0)
            poison = f"poison {number} {uuid.uuid4()}".encode()
            platform.planted.setdefault("patient.updated", []).append(poison)
            await producer.send_and_wait("patient.updated", poison, key=b"nobody")
            await platform.write(50, must=True, pause=0)
    await platform.settled()


@pytest.mark.contract("Q14", "Q15", "D03")
async def test_whole_topics_replayed_twice_change_nothing(platform) -> None:
    before, counted = await platform.projection(), await platform.counted()
    async with platform.topics.producer() as producer:
        for topic in TOPICS:
            records = [
                record for record in await platform.topics.records(topic) if record.value and record.value[:1] == b"{"
            ]
            for _ in range(2):
                for record in records:
                    await producer.send(topic, record.value, key=record.key)
        await producer.flush()
    await platform.write(5, must=True)
    await platform.settled(within=90)
    assert before <= await platform.projection()
    now = await platform.counted()
    assert now["patient.created"] == counted["patient.created"] + 5


@pytest.mark.contract("Q14", "D02")
async def test_two_replicas_of_the_appointment_service(platform) -> None:
    """A second process joins the group under load, does its share, and is killed."""
    port = free_port()
    replica = second_appointment_service(platform, port)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

            async def has_partitions() -> bool:
                try:
                    health = (await client.get("/actuator/health")).json()
                except httpx.HTTPError:
                    return False
                return bool(health["components"]["consumer"]["details"]["assigned"])

            await eventually(has_partitions, within=30, every=0.1)
            await load(platform, count=30, must=True)
            await platform.settled()
        writing = asyncio.create_task(load(platform, count=20, must=True))
        await asyncio.sleep(0.3)
    finally:
        replica.kill()
        replica.wait(10)
    await writing
    await platform.settled(within=90)


def second_appointment_service(platform, port: int) -> subprocess.Popen[bytes]:
    environ = environment(platform.layout, service_named("appointment-service"))
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "VIRTUAL_ENV")}
    return subprocess.Popen(
        [sys.executable, "-m", "appointment_service"],
        env=inherited | environ | {"APPOINTMENT_SERVICE_PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
