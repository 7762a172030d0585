"""The relay: outbox rows to Kafka, at least once and in order per aggregate.

Rows are sharded by their aggregate. A relay owns shards by advisory locks on a connection of its own; several
relays share them evenly (chassis.shards). Reading by "id greater than the last" or with SKIP LOCKED loses or reorders
rows; reading a shard's rows in order under its lock, and deleting after the acknowledgement, does neither.

An event that cannot be sent holds back those of its aggregate, and no others. When nothing can be sent it is an outage:
then nobody is held back, and all is tried again after a pause.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import sqlalchemy as sa
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge, Histogram

from chassis import outbox, telemetry, tracing
from chassis.actuator import Health
from chassis.db import Database, Statement, connect
from chassis.errors import Unavailable
from chassis.heldback import HeldBack
from chassis.kafka import KafkaProducer
from chassis.settings import DatabaseSettings, KafkaSettings
from chassis.shards import SHARDS, Shards

log = telemetry.logger(__name__)

_KAFKA = {"messaging.system": "kafka"}

DEPTH = Gauge("outbox_messages", "Events that wait for Kafka")
OLDEST = Gauge("outbox_oldest_seconds", "Age of the oldest event that waits")
PUBLISHED = Counter("outbox_published_total", "Events that Kafka acknowledged", ["topic"])
FAILED = Counter("outbox_failures_total", "Passes that ended early or had to leave an event behind")
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
    FROM outbox WHERE {_SHARD} = ANY($1::bigint[]) AND aggregate_id <> ALL($2::uuid[]) ORDER BY id LIMIT {BATCH}
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
        self._held = HeldBack()
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
        """Up while it has a connection; how many shards it owns, and how many aggregates it holds back."""
        up = self._connection is not None and not self._connection.is_closed()
        return Health(up=up, details={"shards": len(self.owned), "heldBack": len(self._held.aggregates)})

    @property
    def owned(self) -> set[int]:
        """The shards that it reads."""
        return self._shards.owned if self._shards else set()

    async def _run(self) -> None:
        failures = 0
        while True:
            self._wake.clear()
            try:
                while await self._pass():
                    pass
                failures = 0
            except Exception as error:  # whatever it is: nobody would notice a relay that had ended
                failures += 1
                FAILED.inc()
                log.warning(
                    "the relay will try again", failures=failures, error=type(error).__name__, **_place_of(error)
                )
                await self._let_go()
                await asyncio.sleep(min(5.0, 0.1 * 2 ** min(failures, 6)))
                continue
            await self._rest()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()

    async def _pass(self) -> bool:
        """Sends what waits in our shards; whether more may be waiting."""
        await self._producer.ready()
        shards = await self._ours()
        await shards.settle()
        passed_over = self._held.begin()
        rows = await self._connection.fetch(_READ, sorted(shards.owned), passed_over) if shards.owned else []
        failed = await self._forward(rows) if rows else set()
        self._held.end(failed)
        if failed:
            FAILED.inc()
        return len(rows) >= BATCH

    async def _ours(self) -> Shards:
        if self._shards is None or self._connection.is_closed():
            limit = self._database_settings.database_timeout_seconds
            self._connection = await connect(self._database_settings, command_timeout=limit)
            self._shards = Shards(self._connection)
        return self._shards

    async def _forward(self, rows: Sequence[Any]) -> set[UUID]:
        """Sends them; the aggregates whose rows have to wait.

        Those held back go last and one by one, for a broker refuses a whole batch because of one record in it.

        Raises:
            Unavailable: Kafka took nothing in.
        """
        held, blocked = self._held.aggregates, set[Any]()
        failed, outage = await self._carry([row for row in rows if row["aggregate_id"] not in held], blocked)
        if outage:
            raise Unavailable("kafka")
        for row in rows:
            if row["aggregate_id"] in held and row["aggregate_id"] not in failed:
                await self._producer.ready()
                failed |= (await self._carry([row], blocked))[0]
        return failed

    async def _carry(self, rows: Sequence[Any], blocked: set[Any]) -> tuple[set[UUID], bool]:
        """Sends without waiting in between; which aggregates failed, and whether nothing got through.

        Deletes what was acknowledged before the first failure of each aggregate.
        """
        sending = [await self._hand_over(row, blocked) for row in rows]
        results = await asyncio.gather(*sending, return_exceptions=True)
        failed: set[UUID] = set()
        done: list[Any] = []
        for row, result in zip(rows, results, strict=True):
            if row["aggregate_id"] in failed:
                continue
            if isinstance(result, BaseException):
                failed.add(row["aggregate_id"])
                if _outage(result):
                    blocked.add(row["topic"])
            else:
                done.append(row)
        if done:
            await self._connection.execute(_DELETE, [row["id"] for row in done])
            self._count(done)
        outage = bool(results) and all(_outage(result) for result in results)
        if failed and not outage:
            log.warning("events are held back", aggregates=len(failed))
        return failed, outage

    async def _hand_over(self, row: Any, blocked: set[Any]) -> "asyncio.Future[object]":
        """The row on its way, or its failure.

        `blocked` gains its aggregate, whose later events must not overtake it, and a topic that takes nothing in, which
        is waited for once in a pass and not by every row.
        """
        error: Exception = Unavailable("kafka")
        if blocked.isdisjoint((row["topic"], row["aggregate_id"])):
            try:
                return await self._send(row)
            except Exception as raised:
                error = raised
                if _outage(error):
                    blocked.add(row["topic"])
        blocked.add(row["aggregate_id"])
        failed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        failed.set_exception(error)
        return failed

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
                    name, "producer", ids, time.perf_counter() - began, about, failed=_has_failed(done)
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


def _outage(result: object) -> bool:
    """Whether Kafka was not there; what it refused, or what could not even be handed over, is no outage."""
    cause = result.__cause__ if isinstance(result, Unavailable) else None
    return isinstance(result, Unavailable) and not (isinstance(cause, KafkaError) and not cause.retriable)


def _has_failed(done: "asyncio.Future[object]") -> bool:
    return done.cancelled() or done.exception() is not None


def _place_of(error: Exception) -> dict[str, Exception]:
    """An outage is told by its name; of what nobody foresaw, the log says the place too."""
    foreseen = (Unavailable, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
    return {} if isinstance(error, foreseen) else {"exc_info": error}
