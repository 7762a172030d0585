"""The relay's sending half: rows of the outbox to Kafka, in order per aggregate, deleted once acknowledged."""

import asyncio
import time
from collections.abc import Sequence, Set
from typing import Any
from uuid import UUID

import orjson
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Histogram

from chassis import correlation, logs, tracing
from chassis.errors import Unavailable
from chassis.kafka import KafkaProducer

log = logs.logger(__name__)

_KAFKA = {"messaging.system": "kafka"}

PUBLISHED = Counter("outbox_published_total", "Events that Kafka acknowledged", ["topic"])
LATENCY = Histogram(
    "outbox_publish_seconds",
    "From the row's transaction to the acknowledgement",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60, 600),
)

_DELETE = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"


class Sender:
    """Sends what the relay read; topics get `prefix` on the wire."""

    def __init__(self, producer: KafkaProducer, prefix: str) -> None:
        self._producer = producer
        self._prefix = prefix

    async def forward(self, connection: Any, rows: Sequence[Any], held: Set[UUID]) -> set[UUID]:
        """Sends them; the aggregates whose rows have to wait. The connection is the one that owns their shards.

        Those `held` back go last and one by one, for a broker refuses a whole batch because of one record in it.

        Raises:
            Unavailable: Kafka took nothing in.
        """
        blocked = set[Any]()
        at_once = [row for row in rows if row["aggregate_id"] not in held]
        failed, outage = await self._carry(connection, at_once, blocked)
        if outage:
            raise Unavailable("kafka")
        for row in rows:
            if row["aggregate_id"] in held and row["aggregate_id"] not in failed:
                await self._producer.ready()
                failed |= (await self._carry(connection, [row], blocked))[0]
        return failed

    async def _carry(self, connection: Any, rows: Sequence[Any], blocked: set[Any]) -> tuple[set[UUID], bool]:
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
            await connection.execute(_DELETE, [row["id"] for row in done])
            _count(done)
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
        topic = self._prefix + row["topic"]
        began, texts = time.perf_counter(), row["headers"]
        if tracing.on():
            with correlation.message_context(texts) as ids:
                texts = texts | correlation.outgoing_headers()
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


def _count(rows: Sequence[Any]) -> None:
    now = time.time()
    for row in rows:
        PUBLISHED.labels(row["topic"]).inc()
        LATENCY.observe(max(0.0, now - row["created_at"].timestamp()))
        with correlation.message_context(row["headers"]):
            log.info("event published", topic=row["topic"], type=row["type"], event_id=str(row["event_id"]))


def _outage(result: object) -> bool:
    """Whether Kafka was not there; what it refused, or what could not even be handed over, is no outage."""
    cause = result.__cause__ if isinstance(result, Unavailable) else None
    return isinstance(result, Unavailable) and not (isinstance(cause, KafkaError) and not cause.retriable)


def _has_failed(done: "asyncio.Future[object]") -> bool:
    return done.cancelled() or done.exception() is not None
