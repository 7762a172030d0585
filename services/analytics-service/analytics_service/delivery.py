"""Serves each sink from its queue: in order, one batch at a time, deleting what the sink has taken."""

import asyncio
import contextlib
from typing import Any

import sqlalchemy as sa
from chassis import logs
from chassis.actuator import Health
from chassis.classification import Verdict, classify
from chassis.db import Database
from chassis.recovery import delay, recovery
from chassis.statement import Statement
from chassis.transaction import Transaction
from prometheus_client import Counter

from analytics_service.models import sink_message
from analytics_service.settings import Settings
from analytics_service.sinks import Sink

log = logs.logger(__name__)

DELIVERED = Counter("analytics_sink_events_total", "Events that a sink has taken", ["sink"])
FAILED = Counter("analytics_sink_failures_total", "Batches that a sink did not take", ["sink"])

# A transaction's lock: another replica serves the sink when this one is gone.
_LOCK = Statement(sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtext(sa.bindparam("sink", type_=sa.Text)))))
_BATCH = Statement(
    sa.select(sink_message)
    .where(sink_message.c.sink == sa.bindparam("sink"))
    .order_by(sink_message.c.id)
    .limit(sa.bindparam("limit"))
)
_DONE = Statement(
    sa.delete(sink_message).where(sink_message.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.BigInteger))))
)


class Delivery:
    """A part of role "consumer": one task for each sink."""

    role = "consumer"
    critical = False

    def __init__(self, settings: Settings, database: Database, sink: Sink) -> None:
        self.name = f"sink-{sink.name}"
        self._settings = settings
        self._database = database
        self._sink = sink
        self._open = False
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serves in the background."""
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def stop(self) -> None:
        """What is under way comes again after the next start."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._sink.close()

    async def health(self) -> Health:
        """Up while the sink takes what it is given."""
        return Health(up=self._failures == 0, details={"failures": self._failures})

    async def _run(self) -> None:
        while True:
            try:
                more = await self._serve()
                self._failures = 0
                recovery.succeeded(self)
            except Exception as error:  # whatever it is: nobody would notice a delivery that had ended
                await self._give_up(error)
            else:
                await asyncio.sleep(0 if more else self._settings.analytics_flush_seconds)

    async def _give_up(self, error: Exception) -> None:
        self._failures += 1
        self._open = False
        FAILED.labels(self._sink.name).inc()
        bug = {"exc_info": error} if classify(error) is Verdict.BUG else {}
        log.warning("the sink will be tried again", sink=self._sink.name, error=type(error).__name__, **bug)
        with contextlib.suppress(Exception):
            await self._sink.close()
        recovery.failed(self)
        await recovery.sleep(delay(self._failures, first=0.25))

    async def _serve(self) -> bool:
        """One batch; whether it was a full one."""
        if not self._open:
            await self._sink.open()
            self._open = True
        async with self._database.transaction() as tx:
            rows = await self._batch(tx)
            if rows:
                await self._sink.deliver([row["event"] for row in rows])
                await tx.execute(_DONE, ids=[row["id"] for row in rows])
                DELIVERED.labels(self._sink.name).inc(len(rows))
        return len(rows) == self._settings.analytics_batch_size

    async def _batch(self, tx: Transaction) -> list[Any]:
        if not await tx.fetch_value(_LOCK, sink=self._sink.name):
            return []
        return await tx.fetch_all(_BATCH, sink=self._sink.name, limit=self._settings.analytics_batch_size)
