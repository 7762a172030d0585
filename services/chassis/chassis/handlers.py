"""What is done with a message: its handler in one transaction, once where it counts, under its own trace."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial

from aiokafka import ConsumerRecord
from prometheus_client import Histogram

from chassis import correlation, inbox, tracing
from chassis.again import once_more
from chassis.db import Database
from chassis.errors import Poison
from chassis.received import Received, TopicContract, read
from chassis.transaction import Transaction

_KAFKA = {"messaging.system": "kafka"}

AGE = Histogram(
    "projection_age_seconds",
    "From an event's occurrence to the commit of its effect",
    ["group", "topic"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)

Handler = Callable[[Received, Transaction], Awaitable[None]]


class Handlers:
    """The handlers of one group, by bare topic; each has `seconds` for a message."""

    def __init__(self, group: str, database: Database, seconds: float) -> None:
        self._group = group
        self._database = database
        self._seconds = seconds
        self._handlers: dict[str, tuple[Handler, bool]] = {}
        self._contracts: dict[str, TopicContract] = {}
        self.packages: set[str] = set()
        """Where the handlers' code is; bugs are told apart by its lines."""

    def add(self, handlers: Mapping[str, Handler], contracts: Iterable[TopicContract], *, once: bool) -> None:
        """`once`: each event id takes effect once, by the inbox. Raises ValueError for a topic without a contract."""
        self._contracts |= {contract.name: contract for contract in contracts}
        if missing := handlers.keys() - self._contracts.keys():
            raise ValueError(f"no contract for the topics {sorted(missing)}")
        self._handlers |= {topic: (handler, once) for topic, handler in handlers.items()}
        self.packages |= {handler.__module__.partition(".")[0] for handler in handlers.values()}

    @property
    def topics(self) -> list[str]:
        """Those that somebody handles."""
        return list(self._handlers)

    async def handle(self, record: ConsumerRecord, topic: str) -> str:
        """What became of it: `handled`, `duplicate`, or `empty`. Raises what its handler raises, and TimeoutError."""
        if record.value is None:
            return "empty"
        if topic not in self._handlers:
            raise Poison("the replayed message names no topic of this group")
        event = read(record, self._contracts[topic])
        with correlation.message_context(event.headers) as ids:
            began, failed = time.perf_counter(), True
            try:
                async with asyncio.timeout(self._seconds):
                    result = await once_more(partial(self._apply, event))
                failed = False
                return result
            finally:
                about = {**_KAFKA, "messaging.consumer.group.name": self._group, "messaging.destination.name": topic}
                tracing.record(f"process {topic}", "consumer", ids, time.perf_counter() - began, about, failed=failed)

    async def _apply(self, event: Received) -> str:
        handler, once = self._handlers[event.topic]
        async with self._database.transaction() as tx:
            if once and not await inbox.admit(tx, event.event_id):
                return "duplicate"
            await handler(event, tx)
        AGE.labels(self._group, event.topic).observe((datetime.now(UTC) - event.occurred_at).total_seconds())
        return "handled"
