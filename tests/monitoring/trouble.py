"""What goes wrong in real life, done to the running platform on purpose, each undone before the next."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import httpx2 as httpx
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from chassis.shards import LOCK_CLASS, SHARDS
from chassis.testing import deadline, eventually
from healthcare_contracts import topics
from hpctl.layout import Layout, service_named

from hpctl import state
from tests.conftest import Stack
from tests.e2e.forgeries import envelope
from tests.monitoring.live import a_patient

LOCKS = """
    SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database AND datname = current_database()
    WHERE locktype = 'advisory' AND classid = $1 AND granted = $2
"""
WAITS = "SELECT 1 FROM pg_locks WHERE pid = $1 AND NOT granted"
SEEN = 3.0  # seconds that a state is held, so that two scrapes see it


def all_of_it(stack: Stack, client: httpx.Client) -> None:
    asyncio.run(events_wait(stack, client))
    asyncio.run(the_projection_waits(stack, client))
    asyncio.run(kafka_refuses(stack, client))
    asyncio.run(a_poison_message(stack))
    redis_hangs(stack, client)
    a_service_hangs_and_dies(stack, client)


async def events_wait(stack: Stack, client: httpx.Client) -> None:
    """Another session takes the relay's locks away: what is committed now stays in the outbox."""
    async with stack.database("patient_service") as thief, stack.database("patient_service") as killer:
        take = f"SELECT pg_advisory_lock({LOCK_CLASS}, shard) FROM generate_series(0, {SHARDS - 1}) AS shard"
        taking = asyncio.create_task(thief.fetch(take))
        await eventually(lambda: killer.fetch(LOCKS, LOCK_CLASS, False))
        relay = await killer.fetchval(LOCKS, LOCK_CLASS, True)
        async with killer.transaction():
            await killer.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
            await eventually(lambda: killer.fetch(WAITS, relay))  # in the middle of a pass, not between two
            await killer.execute("SELECT pg_terminate_backend($1)", relay)
        await taking
        await asyncio.to_thread(client.post, "/api/patients", json=a_patient())
        await asyncio.to_thread(_until, stack, "patient-service", "outbox_messages")


async def the_projection_waits(stack: Stack, client: httpx.Client) -> None:
    """A lock on the read model: its consumer retries and falls behind, readers get 503."""
    person = (await asyncio.to_thread(client.post, "/api/patients", json=a_patient())).json()
    async with stack.database("appointment_service") as connection, connection.transaction():
        await connection.execute("LOCK TABLE cached_patient IN ACCESS EXCLUSIVE MODE")
        change = person | {"name": "Ada Lovelace"}
        await asyncio.to_thread(client.put, f"/api/patients/{person['id']}", json=change)
        answer = await asyncio.to_thread(client.get, "/api/appointments?size=7")
        assert answer.status_code == 503
        await asyncio.to_thread(_until, stack, "appointment-service", "consumer_lag")


async def kafka_refuses(stack: Stack, client: httpx.Client) -> None:
    """Messages of a topic may have one byte for a while: none is taken in, and the events wait."""
    topic = topics.PATIENT_CREATED
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{Layout(stack.offset).port('KAFKA_PORT')}")
    await admin.start()
    try:
        tight = ConfigResource(ConfigResourceType.TOPIC, topic.name, topic.config | {"max.message.bytes": "1"})
        await admin.alter_configs([tight])
        await asyncio.to_thread(client.post, "/api/patients", json=a_patient())
        await asyncio.to_thread(_until, stack, "patient-service", "kafka_producer_records_total", result="failed")
    finally:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, topic.config)])
        await admin.close()
    await asyncio.to_thread(wait_for, lambda: _of(stack, "patient-service", "outbox_messages", {}) == 0)


async def a_poison_message(stack: Stack) -> None:
    """Something on a topic that is no event, and beside it two events between which some are missing."""
    stranger = str(uuid.uuid4())
    producer = AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{Layout(stack.offset).port('KAFKA_PORT')}")
    await producer.start()
    await producer.send_and_wait("patient.updated", b"this is no event", key=b"poison")
    for version in (2, 9):
        data = {"patientId": stranger, "name": "Ada Lovelace", "email": "ada@example.com", "version": version}
        await producer.send_and_wait("patient.updated", envelope("patient.updated", data), key=stranger.encode())
    await producer.stop()
    await asyncio.to_thread(_until, stack, "appointment-service", "consumer_dead_letters_total")
    await asyncio.to_thread(_until, stack, "appointment-service", "projection_version_leaps_total")


def redis_hangs(stack: Stack, client: httpx.Client) -> None:
    """Reads go to the database meanwhile."""
    person = client.post("/api/patients", json=a_patient()).json()["id"]
    with stopped(pid_of(stack, "valkey")):
        assert client.get(f"/api/patients/{person}").status_code == 200
        _until(stack, "patient-service", "cache_requests_total", result="error")


def a_service_hangs_and_dies(stack: Stack, client: httpx.Client) -> None:
    """Requests wait for it, then lose their connections; its breaker opens; it comes back by itself."""
    # Leaves a kept connection behind: only what was sent on such a one is tried again.
    assert _get(client, "/api/analytics/summary") == 200
    pid = pid_of(stack, "analytics-service")
    with ThreadPoolExecutor(12) as pool, stopped(pid):
        waiting = [pool.submit(_get, client, "/api/analytics/summary") for _ in range(12)]
        time.sleep(SEEN)
        os.kill(pid, signal.SIGKILL)
        assert any(each.result() >= 500 for each in waiting)
    until = deadline(30)
    while _get(client, "/api/analytics/summary") != 200:
        assert time.monotonic() < until
        time.sleep(0.3)


def _get(client: httpx.Client, path: str) -> int:
    return client.get(path).status_code


def pid_of(stack: Stack, name: str) -> int:
    """The process of that name."""
    running = state.running(Layout(stack.offset))
    assert running is not None
    return next(process.pid for process in running.processes if process.name == name)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """It hangs meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _until(stack: Stack, service: str, metric: str, **labels: str) -> None:
    """Waits until the service says more than 0 of it, and long enough for a scrape to see that."""
    wait_for(lambda: _of(stack, service, metric, labels) > 0)
    time.sleep(SEEN)


def _of(stack: Stack, service: str, metric: str, labels: dict[str, str]) -> float:
    url = f"http://127.0.0.1:{Layout(stack.offset).port(service_named(service).port)}/actuator/prometheus"
    lines = [line for line in httpx.get(url, timeout=10).text.splitlines() if line.startswith((f"{metric}{{", metric))]
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(each in line for each in wanted))


def wait_for(check: Callable[[], bool], within: float = 30) -> None:
    """Returns once it is so."""
    until = deadline(within)
    while not check():
        assert time.monotonic() < until
        time.sleep(0.1)
