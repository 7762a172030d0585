"""The real services, two replicas each, on a Redis that refuses, hangs or is full, and a replica that is killed."""

import asyncio
import contextlib
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import appointment_service.main
import appointment_service.settings
import asyncpg
import httpx2 as httpx
import patient_service.main
import patient_service.settings
import pytest
from chassis.testing import eventually, free_port, serve, token
from redis import Redis

from tests.coherence.world import BEHIND_SECONDS

HEADERS = {"Authorization": f"Bearer {token('ADMIN')}"}
PATIENT = {"name": "John Doe", "address": "1 Road", "dateOfBirth": "1990-01-01"}
VISIT = {"startTime": "2026-05-20T09:00:00", "endTime": "2026-05-20T09:30:00"}


@dataclass
class Kind:
    """A service, where its records are, and one of them before and after a change."""

    service: Any
    path: str
    port: str
    table: str
    before: Callable[[], dict[str, Any]]
    after: dict[str, Any]
    environ: dict[str, str]

    def settings(self, **changes: Any) -> Any:
        settings = self.service.settings.Settings.from_environ(self.environ)
        return settings.model_copy(update=changes)

    def app(self, **changes: Any) -> Any:
        return self.service.main.create_app(self.settings(**changes))


@pytest.fixture(scope="module")
def kinds(environ: dict[str, str], postgres: Any) -> list[Kind]:
    name = f"visits_{uuid.uuid4().hex[:8]}"
    postgres.create_database(name, "secret")
    url = f"postgresql://{postgres.host}:{postgres.port}/{name}"
    visits = environ | {"DATABASE_URL": url, "DATABASE_USER": name, "DATABASE_PASSWORD": "secret"}
    patients = environ | {"BILLING_SERVICE_ADDRESS": "127.0.0.1:1"}

    def patient() -> dict[str, Any]:
        return PATIENT | {"email": f"{uuid.uuid4().hex}@example.com"}

    def visit() -> dict[str, Any]:
        return VISIT | {"patientId": str(uuid.uuid4())}

    return [
        Kind(patient_service, "/patients", "PATIENT_SERVICE_PORT", "patient", patient, {"name": "Jane"}, patients),
        Kind(
            appointment_service,
            "/appointments",
            "APPOINTMENT_SERVICE_PORT",
            "appointment",
            visit,
            {"notes": "x"},
            visits,
        ),
    ]


@pytest.fixture
def redis(valkey: Any) -> Any:
    with Redis(host=valkey.host, port=valkey.port, password=valkey.password) as client:
        yield client
        heal(client)


FAULTS: dict[str, Callable[[Any], object]] = {
    "a replica": lambda redis: redis.replicaof("127.0.0.1", "1"),
    "hung": lambda redis: redis.execute_command("CLIENT", "PAUSE", 10_000, "ALL"),
    "hung for writes": lambda redis: redis.execute_command("CLIENT", "PAUSE", 10_000, "WRITE"),
    "out of memory": lambda redis: redis.config_set("maxmemory", 1),
}


def heal(redis: Any) -> None:
    redis.execute_command("CLIENT", "UNPAUSE")
    redis.replicaof("NO", "ONE")
    redis.config_set("maxmemory", 0)


@asynccontextmanager
async def serving(kind: Kind, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serve(kind.app(**changes)) as url,
        httpx.AsyncClient(base_url=url, headers=HEADERS, timeout=10) as client,
    ):
        yield client


async def is_cached(client: httpx.AsyncClient, path: str) -> bool:
    """Read twice by a replica that trusts its cache."""
    assert (await client.get(path)).status_code == 200
    assert (await client.get(path)).status_code == 200
    health = (await client.get("/actuator/health")).json()
    return bool(health["components"]["redis"]["status"] == "UP")


@pytest.mark.contract("Z02", "P12", "Q23")
async def test_a_change_and_a_deletion_are_seen_at_once_and_a_second_later_elsewhere(kinds, redis) -> None:
    async with AsyncExitStack() as stack:
        pairs = [(kind, [await stack.enter_async_context(serving(kind)) for _ in range(2)]) for kind in kinds]
        for fault in FAULTS.values():
            made = await asyncio.gather(*(cached(kind, pair) for kind, pair in pairs))
            fault(redis)
            await asyncio.gather(*(replaced(kind, pair, each) for (kind, pair), each in zip(pairs, made, strict=True)))
            heal(redis)
            for (_, pair), (path, _) in zip(pairs, made, strict=True):
                assert {(await client.get(path)).status_code for client in pair} == {404}


async def cached(kind: Kind, pair: list[httpx.AsyncClient]) -> tuple[str, dict[str, Any]]:
    """The path of a new record that both have in the cache, and its body."""
    body = kind.before()
    path = (await pair[0].post(kind.path, json=body)).headers["Location"]
    for client in pair:
        await eventually(lambda client=client: is_cached(client, path))
    return path, body


async def replaced(kind: Kind, pair: list[httpx.AsyncClient], made: tuple[str, dict[str, Any]]) -> None:
    path, body = made
    writer, other = pair
    assert (await writer.put(path, json=body | kind.after)).status_code == 200
    assert (await writer.get(path)).json()["version"] == 2
    await asyncio.sleep(BEHIND_SECONDS)
    for client in pair:
        read = (await client.get(path)).json()
        assert read | kind.after == read
    assert (await writer.delete(path)).status_code == 204
    assert (await writer.get(path)).status_code == 404, "a deleted record is readable"
    await asyncio.sleep(BEHIND_SECONDS)
    assert (await other.get(path)).status_code == 404, "a deleted record is readable elsewhere"


@pytest.mark.contract("Z02")
async def test_killed_between_commit_and_eviction(kinds, redis) -> None:
    """No relay and no consumer runs: nothing but the record knows of it."""
    async with AsyncExitStack() as stack:
        for kind in kinds:
            doomed = await stack.enter_async_context(process(kind))
            client = await stack.enter_async_context(serving(kind, service_roles=frozenset({"api"})))
            path, body = await cached(kind, [client])
            redis.execute_command("CLIENT", "PAUSE", 10_000, "WRITE")
            writing = asyncio.ensure_future(doomed.client.put(path, json=body | kind.after))
            await eventually(lambda kind=kind, path=path: committed(kind, path), within=10, every=0.005)
            doomed.kill()
            with pytest.raises(httpx.HTTPError):
                await writing
            redis.execute_command("CLIENT", "UNPAUSE")
            await asyncio.sleep(BEHIND_SECONDS)
            assert (await client.get(path)).json()["version"] == 2
            await eventually(lambda kind=kind: forgotten(kind))


@dataclass
class Doomed:
    """A process, and a client of it."""

    kill: Callable[[], None]
    client: httpx.AsyncClient


@asynccontextmanager
async def process(kind: Kind) -> AsyncIterator[Doomed]:
    port = str(free_port())
    own = {"PATH": os.environ["PATH"], kind.port: port, "SERVICE_ROLES": "api", "LOG_LEVEL": "error"}
    started = await asyncio.create_subprocess_exec(sys.executable, "-m", kind.service.__name__, env=kind.environ | own)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=10) as client:
            await eventually(lambda: ready(client), within=60)
            yield Doomed(started.kill, client)
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        await started.wait()


async def ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/actuator/health/readiness")).status_code == 200
    except httpx.HTTPError:
        return False


async def value(kind: Kind, sql: str, *arguments: Any) -> Any:
    environ = kind.environ
    user, password = environ["DATABASE_USER"], environ["DATABASE_PASSWORD"]
    connection = await asyncpg.connect(environ["DATABASE_URL"], user=user, password=password)
    try:
        return await connection.fetchval(sql, *arguments)
    finally:
        await connection.close()


async def committed(kind: Kind, path: str) -> bool:
    id = uuid.UUID(path.rpartition("/")[2])
    return bool(await value(kind, f"SELECT version = 2 FROM {kind.table} WHERE id = $1", id))


async def forgotten(kind: Kind) -> bool:
    return bool(await value(kind, "SELECT NOT EXISTS (SELECT FROM cache_eviction)"))
