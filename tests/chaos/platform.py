"""What a fault test needs: load, kills by pid, and the comparison of every copy with its source."""

import asyncio
import contextlib
import json
import os
import random
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx2 as httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from chassis.testing import eventually
from hpctl.layout import Layout

from hpctl import state
from tests.conftest import Stack

GROUPS = ("appointments-cg", "patient-service", "analytics-service")


class Platform:
    """A running stack under test; `created` are the patients whose 201 was seen."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack = stack
        self.layout = Layout(stack.offset)
        self.dice = random.Random(seed)
        self.created: list[dict[str, Any]] = []
        self.refused = 0
        self._token = stack.client().headers["Authorization"]

    def url(self, port: int) -> str:
        return f"http://127.0.0.1:{port + self.stack.offset}"

    def client(self, port: int = 4000) -> httpx.AsyncClient:
        """A client of one service itself: the gateway's limits are not what is tested here."""
        return httpx.AsyncClient(base_url=self.url(port), headers={"Authorization": self._token}, timeout=20)

    def pid(self, name: str) -> int:
        rows = json.loads(self.stack.hpctl("status", "--json").stdout)["processes"]
        return next(row["pid"] for row in rows if row["name"] == name)

    def kill(self, name: str) -> None:
        """SIGKILL; the supervisor starts it again."""
        os.kill(self.pid(name), signal.SIGKILL)

    @contextlib.contextmanager
    def frozen(self, name: str) -> Any:
        """SIGSTOP, and SIGCONT at the end."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    async def write(self, count: int, *, must: bool = False, pause: float = 0.01) -> None:
        """Creates patients and updates some of them. `must`: every answer has to be a 2xx."""
        async with self.client() as client:
            for _ in range(count):
                body = {"email": f"{uuid.uuid4().hex}@example.com", "address": "1 Road", "dateOfBirth": "1990-01-01"}
                answer = await self._send(client, "POST", "/patients", body | {"name": "First"}, must=must)
                if answer is not None:
                    self.created.append(answer.json())
                    if self.dice.random() < 0.5:
                        path = f"/patients/{answer.json()['id']}"
                        await self._send(
                            client, "PUT", path, body | {"name": f"Second {self.dice.random()}"}, must=must
                        )
                await asyncio.sleep(pause * self.dice.random())

    async def _send(
        self, client: httpx.AsyncClient, method: str, path: str, body: dict[str, str], *, must: bool
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

    @contextlib.asynccontextmanager
    async def connected(self, database: str) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=self.layout.port("PATIENT_DB_PORT"),
            user=database,
            password=state.password(self.layout, database),
            database=database,
        )
        try:
            yield connection
        finally:
            await connection.close()

    async def query(self, database: str, sql: str, *values: Any) -> list[asyncpg.Record]:
        async with self.connected(database) as connection:
            return await connection.fetch(sql, *values)

    async def source(self) -> set[tuple[Any, ...]]:
        return {tuple(row) for row in await self.query("patient_service", "SELECT id, name, version FROM patient")}

    async def projection(self) -> set[tuple[Any, ...]]:
        sql = "SELECT patient_id, name, version FROM cached_patient WHERE deleted_at IS NULL"
        return {tuple(row) for row in await self.query("appointment_service", sql)}

    async def counted(self) -> dict[str, int]:
        rows = await self.query(
            "analytics_service", "SELECT type, sum(total)::bigint AS n FROM event_count GROUP BY type"
        )
        return {row["type"]: row["n"] for row in rows}

    async def settled(self, within: float = 60) -> None:
        """Every copy equals its source: nothing lost, nothing twice, nothing old."""
        await eventually(self._consistent, within=within, every=0.3)

    async def _consistent(self) -> bool:
        source = await self.source()
        assert {uuid.UUID(each["id"]) for each in self.created} <= {row[0] for row in source}, "a 201 was lost"
        assert await self.projection() == source, "the projection is not the source"
        waiting = await self.query("patient_service", "SELECT count(*) AS n FROM outbox")
        assert waiting[0]["n"] == 0, "events wait in the outbox"
        published, counted = await self.published(), await self.counted()
        for kind in ("patient.created", "patient.updated", "patient.deleted"):
            assert counted.get(kind, 0) == published[kind], f"{kind} counted {counted.get(kind)} of {published[kind]}"
        return True

    async def published(self) -> Counter[str]:
        """Distinct events on the patients' topics, by type."""
        seen: set[tuple[str, str]] = set()
        for topic in ("patient.created", "patient.updated", "patient.deleted"):
            for record in await self.records(topic):
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    event = json.loads(record.value or b"")
                    seen.add((event["type"], event["eventId"]))
        return Counter(kind for kind, _ in seen)

    async def records(self, topic: str) -> list[Any]:
        """Everything that a topic holds; nothing when it does not exist."""
        reader = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await reader.start()
        try:
            numbers = reader.partitions_for_topic(topic) or await self._partitions(reader, topic)
            partitions = [TopicPartition(topic, number) for number in numbers]
            if not partitions:
                return []
            reader.assign(partitions)
            ends = await reader.end_offsets(partitions)
            found: list[Any] = []
            for partition in partitions:
                reader.seek(partition, 0)
            while any([await reader.position(partition) < ends[partition] for partition in partitions]):
                for batch in (await reader.getmany(timeout_ms=200)).values():
                    found += batch
            return found
        finally:
            await reader.stop()

    async def _partitions(self, reader: AIOKafkaConsumer, topic: str) -> set[int]:
        return (await reader._client.fetch_all_metadata()).partitions_for_topic(topic) or set()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.layout.port('KAFKA_PORT')}"

    @contextlib.asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def dead_letters(self) -> dict[str, list[bytes]]:
        """What lies in the patients' dead-letter topics."""
        names = [f"{topic}.{group}.dlq" for topic in ("patient.created", "patient.updated") for group in GROUPS]
        found = {name: [record.value for record in await self.records(name)] for name in names}
        return {name: values for name, values in found.items() if values}

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
