"""The relay: outbox rows to Kafka, at least once and in order per aggregate.

Rows are sharded by their aggregate. A relay owns shards by advisory locks on a connection of its own; several
relays share them evenly (chassis.shards). Reading by "id greater than the last" or with SKIP LOCKED loses or reorders
rows; reading a shard's rows in order under its lock, and deleting after the acknowledgement, does neither.

An event that cannot be sent holds back those of its aggregate, and no others. When nothing can be sent it is an outage:
then nobody is held back, and all is tried again after a pause.
"""

import asyncio
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from prometheus_client import Counter, Gauge

from chassis import logs, outbox
from chassis.actuator import Health
from chassis.classification import Verdict, classify
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.heldback import HeldBack
from chassis.kafka import KafkaProducer
from chassis.postgres import DatabaseSettings, connect
from chassis.recovery import delay, recovery
from chassis.sender import Sender
from chassis.shards import SHARDS, Shards
from chassis.statement import Statement

log = logs.logger(__name__)

DEPTH = Gauge("outbox_messages", "Events that wait for Kafka")
OLDEST = Gauge("outbox_oldest_seconds", "Age of the oldest event that waits")
FAILED = Counter("outbox_failures_total", "Passes that ended early or had to leave an event behind")

POLL_SECONDS = 0.5
BATCH = 500
TELL_SECONDS = 5.0

_SHARD = f"(hashtextextended(aggregate_id::text, 0) & {SHARDS - 1})"
_READ = f"""
    SELECT id, event_id, aggregate_id, topic, key, type, payload, headers, created_at,
           current_setting('transaction_read_only') = 'on' AS read_only
    FROM outbox WHERE {_SHARD} = ANY($1::bigint[]) AND aggregate_id <> ALL($2::uuid[]) ORDER BY id LIMIT {BATCH}
"""  # noqa: S608 - constants
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
        self._database = database
        self._wake = outbox.waker(database)
        self._producer = producer
        self._sender = Sender(producer, settings.kafka_topic_prefix)
        self._connection: Any = None
        self._epoch = 0
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
        recovery.forget(self)
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
                recovery.succeeded(self)
            except Exception as error:  # whatever it is: nobody would notice a relay that had ended
                failures += 1
                FAILED.inc()
                log.warning(
                    "the relay will try again", failures=failures, error=type(error).__name__, **_place_of(error)
                )
                await self._let_go()
                recovery.failed(self)
                await recovery.sleep(delay(failures))
                continue
            await self._rest()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()

    async def _pass(self) -> bool:
        """Sends what waits in our shards; whether more may be waiting.

        Raises:
            Unavailable: Kafka takes nothing in, or rows cannot be deleted and would be sent again and again.
        """
        await self._producer.ready()
        shards = await self._ours()
        await shards.settle()
        passed_over = self._held.begin()
        rows = await self._connection.fetch(_READ, sorted(shards.owned), passed_over) if shards.owned else []
        if rows and rows[0]["read_only"]:
            raise Unavailable("database")
        failed = await self._sender.forward(self._connection, rows, self._held.aggregates) if rows else set()
        self._held.end(failed)
        if failed:
            FAILED.inc()
        return len(rows) >= BATCH

    async def _ours(self) -> Shards:
        if self._epoch != self._database.pool.epoch:  # our session is as old as those that were renewed
            await self._let_go()
        if self._shards is None or self._connection.is_closed():
            self._epoch = self._database.pool.epoch
            limit = self._database_settings.database_timeout_seconds
            self._connection = await connect(self._database_settings, command_timeout=limit)
            self._shards = Shards(self._connection)
        return self._shards

    async def _tell(self) -> None:
        """Beside the work, which waits while Kafka is away: then the numbers matter most."""
        while True:
            with suppress(Exception):  # a watch that had ended would show old numbers for ever
                depth, oldest = await self._database.fetch_one(_WAITING) or (0, 0.0)
                DEPTH.set(depth)
                OLDEST.set(oldest)
            await asyncio.sleep(TELL_SECONDS)

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        self._shards = None
        if connection is not None:
            connection.terminate()


def _place_of(error: Exception) -> dict[str, Exception]:
    """An outage is told by its name; of what nobody foresaw, the log says the place too."""
    return {} if classify(error) is Verdict.WORLD else {"exc_info": error}
