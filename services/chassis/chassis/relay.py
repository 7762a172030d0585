"""The relay: outbox rows to Kafka, at least once and in order per aggregate.

Rows are sharded by their aggregate. A relay owns shards by advisory locks on a connection of its own; several
relays share them evenly (chassis.shards). Reading by "id greater than the last" or with SKIP LOCKED loses or reorders
rows; reading a shard's rows in order under its lock, and deleting after the acknowledgement, does neither.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import orjson
import sqlalchemy as sa
from prometheus_client import Counter, Gauge, Histogram

from chassis import outbox, telemetry, tracing
from chassis.actuator import Health
from chassis.db import Database, Statement, connect
from chassis.errors import Unavailable
from chassis.kafka import KafkaProducer
from chassis.settings import DatabaseSettings, KafkaSettings
from chassis.shards import SHARDS, Shards

log = telemetry.logger(__name__)

_KAFKA = {"messaging.system": "kafka"}

DEPTH = Gauge("outbox_messages", "Events that wait for Kafka")
OLDEST = Gauge("outbox_oldest_seconds", "Age of the oldest event that waits")
PUBLISHED = Counter("outbox_published_total", "Events that Kafka acknowledged", ["topic"])
FAILED = Counter("outbox_failures_total", "Passes that ended early")
LATENCY = Histogram(
    "outbox_publish_seconds",
    "From the row's transaction to the acknowledgement",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60, 600),
)

POLL_SECONDS = 0.5
BATCH = 500
TELL_SECONDS = 5.0

_SHARD = f"(hashtextextended(aggregate_id::text, 0) & {SHARDS - 1})"
_READ = f"""
    SELECT id, event_id, aggregate_id, topic, key, type, payload, headers, created_at
    FROM outbox WHERE {_SHARD} = ANY($1::bigint[]) ORDER BY id LIMIT {BATCH}
"""  # noqa: S608 - constants
_DELETE = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"
_AGE = sa.extract("epoch", sa.func.now() - sa.func.min(outbox.OutboxMessage.created_at))
_WAITING = Statement(
    sa.select(sa.func.count(), sa.func.coalesce(sa.cast(_AGE, sa.Float), 0.0)).select_from(outbox.OutboxMessage)
)


class Relay:
    """A part of role "relay"."""

    name = "relay"
    role = "relay"
    critical = False

    def __init__(self, settings: Any, database: Database, producer: KafkaProducer) -> None:
        self._database_settings: DatabaseSettings = settings
        self._kafka_settings: KafkaSettings = settings
        self._database = database
        self._wake = outbox.waker(database)
        self._producer = producer
        self._connection: Any = None
        self._shards: Shards | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Runs in the background."""
        self._tasks = [
            asyncio.create_task(self._run(), name="relay"),
            asyncio.create_task(self._tell(), name="outbox watch"),
        ]

    async def stop(self) -> None:
        """Ends; its shards are free at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._let_go()

    async def health(self) -> Health:
        """Up while it has a connection; how many shards it owns."""
        up = self._connection is not None and not self._connection.is_closed()
        return Health(up=up, details={"shards": len(self.owned)})

    @property
    def owned(self) -> set[int]:
        """The shards that it reads."""
        return self._shards.owned if self._shards else set()

    async def _run(self) -> None:
        failures = 0
        while True:
            self._wake.clear()
            try:
                while await self._pass() >= BATCH:
                    pass
                failures = 0
            except (Unavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                failures += 1
                FAILED.inc()
                log.warning("the relay will try again", error=type(error).__name__, failures=failures)
                await self._let_go()
                await asyncio.sleep(min(5.0, 0.1 * 2 ** min(failures, 6)))
                continue
            await self._rest()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()

    async def _pass(self) -> int:
        """Sends what waits in our shards; how many rows were read."""
        await self._producer.ready()
        shards = await self._ours()
        await shards.settle()
        rows = await self._connection.fetch(_READ, sorted(shards.owned)) if shards.owned else []
        if rows:
            await self._forward(rows)
        return len(rows)

    async def _ours(self) -> Shards:
        if self._shards is None or self._connection.is_closed():
            limit = self._database_settings.database_timeout_seconds
            self._connection = await connect(self._database_settings, command_timeout=limit)
            self._shards = Shards(self._connection)
        return self._shards

    async def _forward(self, rows: Sequence[Any]) -> None:
        """Sends without waiting in between.

        Deletes what was acknowledged before the first failure of each aggregate.
        """
        sending = [(row, await self._send(row)) for row in rows]
        results = await asyncio.gather(*(future for _, future in sending), return_exceptions=True)
        failed: set[Any] = set()
        done: list[Any] = []
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, BaseException) or row["aggregate_id"] in failed:
                failed.add(row["aggregate_id"])
            else:
                done.append(row)
        await self._connection.execute(_DELETE, [row["id"] for row in done])
        self._count(done)
        if failed:
            raise Unavailable("kafka")

    async def _send(self, row: Any) -> "asyncio.Future[object]":
        value = None if row["payload"] is None else orjson.dumps(row["payload"])
        topic = self._kafka_settings.kafka_topic_prefix + row["topic"]
        began, texts = time.perf_counter(), row["headers"]
        if tracing.on():
            with telemetry.message_context(texts) as ids:
                texts = texts | telemetry.outgoing_headers()
        headers = [(name, text.encode()) for name, text in texts.items()]
        future = await self._producer.enqueue(topic, row["key"].encode(), value, headers)
        if tracing.on():
            name, about = f"send {row['topic']}", {**_KAFKA, "messaging.destination.name": row["topic"]}
            future.add_done_callback(
                lambda done: tracing.record(
                    name, "producer", ids, time.perf_counter() - began, about, failed=done.exception() is not None
                )
            )
        return future

    def _count(self, rows: Sequence[Any]) -> None:
        now = time.time()
        for row in rows:
            PUBLISHED.labels(row["topic"]).inc()
            LATENCY.observe(max(0.0, now - row["created_at"].timestamp()))
            with telemetry.message_context(row["headers"]):
                log.info("event published", topic=row["topic"], type=row["type"], event_id=str(row["event_id"]))

    async def _tell(self) -> None:
        """Beside the work, which waits while Kafka is away: then the numbers matter most."""
        while True:
            with suppress(Unavailable, asyncpg.PostgresError):
                depth, oldest = await self._database.fetch_one(_WAITING) or (0, 0.0)
                DEPTH.set(depth)
                OLDEST.set(oldest)
            await asyncio.sleep(TELL_SECONDS)

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        self._shards = None
        if connection is not None:
            connection.terminate()
