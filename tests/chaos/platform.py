"""What a fault test needs: load, kills by pid, and the comparison of every copy with its source."""

import asyncio
import contextlib
import json
import os
import random
import signal
import ssl
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import asyncpg
import httpx2 as httpx
from chassis.testing import eventually
from hpctl.layout import Layout

from hpctl import state
from tests.chaos.topics import Topics
from tests.cluster.client import eventually as sync_eventually
from tests.conftest import Stack

GROUPS = ("appointments-cg", "patient-service", "analytics-service")
TOPICS = ("patient.created", "patient.updated", "patient.deleted")
TRUST = ssl.create_default_context()  # each client would read all authorities anew, which takes longer than a request


class Platform:
    """A running stack under test.

    `created`: the patients whose 201 was seen and whom nobody deleted since; `deleted`: the ids whose 204 was seen;
    `planted`: the poison, by topic.
    """

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack = stack
        self.layout = Layout(stack.offset)
        self.topics = Topics(f"127.0.0.1:{self.layout.port('KAFKA_PORT')}")
        self.dice = random.Random(seed)
        self.created: list[dict[str, Any]] = []
        self.deleted: set[uuid.UUID] = set()
        self.planted: dict[str, list[bytes]] = {}
        self.refused = 0
        self._token = stack.client().headers["Authorization"]

    def url(self, port: int) -> str:
        return f"http://127.0.0.1:{port + self.stack.offset}"

    def client(self, port: int = 4000) -> httpx.AsyncClient:
        """A client of one service itself: the gateway's limits are not what is tested here."""
        headers = {"Authorization": self._token}
        return httpx.AsyncClient(base_url=self.url(port), headers=headers, timeout=20, verify=TRUST)

    def pids(self, *names: str) -> list[int]:
        """Of those that run; whichever has just died is waited for until it is there again."""
        return sync_eventually(lambda: self._running(names), f"running {' and '.join(names)}", 40)

    def _running(self, names: Iterable[str]) -> list[int] | None:
        rows = json.loads(self.stack.hpctl("status", "--json").stdout)["processes"]
        found = {row["name"]: row["pid"] for row in rows}
        return [found[name] for name in names] if all(found[name] for name in names) else None

    def kill(self, *names: str) -> None:
        """SIGKILL; the supervisor starts them again."""
        for pid in self.pids(*names):
            os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """SIGSTOP, and SIGCONT at the end."""
        (pid,) = self.pids(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def unsupervised(self, *names: str) -> Iterator[list[int]]:
        """The pids of these processes; whichever of them dies is started again only at the end: until then the
        supervisor, which would do it, is frozen."""
        found = state.running(self.layout)
        assert found is not None
        pids = self.pids(*names)
        os.kill(found.supervisor.pid, signal.SIGSTOP)
        try:
            yield pids
        finally:
            os.kill(found.supervisor.pid, signal.SIGCONT)

    @contextlib.contextmanager
    def kept_down(self, name: str) -> Iterator[None]:
        """SIGKILL, and started again only at the end."""
        with self.unsupervised(name) as (pid,):
            os.kill(pid, signal.SIGKILL)
            yield

    async def write(self, count: int, *, must: bool = False, pause: float = 0.01) -> None:
        """Creates patients; of ten, some five are updated and one is deleted. `must`: every answer has to be a 2xx."""
        async with self.client() as client:
            for _ in range(count):
                body = {"email": f"{uuid.uuid4().hex}@example.com", "address": "1 Road", "dateOfBirth": "1990-01-01"}
                answer = await self._send(client, "POST", "/patients", body | {"name": "First"}, must=must)
                if answer is not None:
                    await self._change(client, answer.json(), body, must=must)
                await asyncio.sleep(pause * self.dice.random())

    async def _change(
        self, client: httpx.AsyncClient, patient: dict[str, Any], body: dict[str, str], *, must: bool
    ) -> None:
        path, fate = f"/patients/{patient['id']}", self.dice.random()
        if fate < 0.9:
            self.created.append(patient)
            if fate < 0.5:
                body |= {"name": f"Second {self.dice.random()}"}
                await self._send(client, "PUT", path, body, must=must)
        elif await self._send(client, "DELETE", path, None, must=must) is not None:
            self.deleted.add(uuid.UUID(patient["id"]))

    async def _send(
        self, client: httpx.AsyncClient, method: str, path: str, body: dict[str, str] | None, *, must: bool
    ) -> httpx.Response | None:
        try:
            answer = await client.request(method, path, json=body)
        except httpx.HTTPError:
            assert not must, "the service did not answer"
            self.refused += 1
            return None
        if answer.is_success:
            return answer
        assert not must, answer.text
        assert answer.status_code in (404, 503), answer.text
        self.refused += 1
        return None

    async def query(self, database: str, sql: str, *values: Any) -> list[asyncpg.Record]:
        async with self.stack.database(database) as connection:
            return await connection.fetch(sql, *values)

    async def source(self) -> set[tuple[Any, ...]]:
        return {tuple(row) for row in await self.query("patient_service", "SELECT id, name, version FROM patient")}

    async def projection(self, *, deleted: bool = False) -> set[tuple[Any, ...]]:
        sql = "SELECT patient_id, name, version FROM cached_patient WHERE $1 OR deleted_at IS NULL"
        return {tuple(row) for row in await self.query("appointment_service", sql, deleted)}

    async def counted(self) -> dict[str, int]:
        rows = await self.query(
            "analytics_service", "SELECT type, sum(total)::bigint AS n FROM event_count GROUP BY type"
        )
        return {row["type"]: row["n"] for row in rows}

    async def settled(self, within: float = 60) -> None:
        """Every copy equals its source: nothing lost, nothing twice, nothing old; only poison was put aside."""
        await eventually(self._consistent, within=within, every=0.3)
        await eventually(self._aside, within=30, every=0.3)

    async def _aside(self) -> bool:
        expected = {
            f"{topic}.{group}.dlq": sorted(values) for topic, values in self.planted.items() for group in GROUPS
        }
        found = await self.topics.filled([f"{topic}.{group}.dlq" for topic in TOPICS for group in GROUPS])
        assert {name: sorted(values) for name, values in found.items()} == expected, (
            "the dead letters are not the poison"
        )
        return True

    async def _consistent(self) -> bool:
        source = await self.source()
        assert {uuid.UUID(each["id"]) for each in self.created} <= {row[0] for row in source}, "a 201 was lost"
        assert not self.deleted & {row[0] for row in source}, "a deletion was lost"
        projection = await self.projection()
        assert projection == source, f"not projected: {source - projection}; no longer so: {projection - source}"
        waiting = await self.query("patient_service", "SELECT count(*) AS n FROM outbox")
        assert waiting[0]["n"] == 0, "events wait in the outbox"
        published, counted = await self.topics.published(TOPICS), await self.counted()
        for kind in TOPICS:
            assert counted.get(kind, 0) == published[kind], f"{kind} counted {counted.get(kind)} of {published[kind]}"
        return True

    async def up(self, *ports: int) -> None:
        """The services answer again."""

        async def ready() -> bool:
            for port in ports:
                async with self.client(port) as client:
                    try:
                        answer = await client.get("/actuator/health/readiness")
                    except httpx.HTTPError:
                        return False
                    if answer.status_code != 200:
                        return False
            return True

        await eventually(ready, within=40, every=0.1)
