"""The second pass of a migration: rows that the release before wrote get what only this one can make.

A migration expands the schema and ends at once; the release before goes on to write while pods are replaced. So this
goes on, too: until nothing is left, and then every few seconds, because a roll-back may bring the release before back.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from chassis import logs
from chassis.actuator import Health
from chassis.classification import Verdict, classify
from chassis.db import Database
from chassis.transaction import Transaction

log = logs.logger(__name__)

EVERY_SECONDS = 5.0

Fill = Callable[[Transaction], Awaitable[int]]


class Backfill:
    """A part: calls `fill`, which takes a batch in a transaction and says how many rows that were."""

    role = "relay"
    critical = False

    def __init__(self, database: Database, name: str, fill: Fill, every: float = EVERY_SECONDS) -> None:
        self.name = name
        self._database = database
        self._fill = fill
        self._every = every
        self._filled = 0
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins."""
        self._running = asyncio.create_task(self._run(), name=f"backfill {self.name}")

    async def stop(self) -> None:
        """Ends; a batch in hand is rolled back, and the next process takes it."""
        if self._running:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def health(self) -> Health:
        """How many rows this process has filled."""
        return Health(up=True, details={"filled": self._filled})

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            count = await self._batch()
            # As long a pause as the batch took: the rows belong to the requests first.
            await asyncio.sleep(time.monotonic() - began if count else self._every)

    async def _batch(self) -> int:
        try:
            async with self._database.transaction() as tx:
                count = await self._fill(tx)
        except Exception as error:  # whatever it is: nobody would notice a backfill that had ended
            bug = {"exc_info": error} if classify(error) is Verdict.BUG else {}
            log.warning("a backfill waits", backfill=self.name, error=type(error).__name__, **bug)
            return 0
        if count:
            self._filled += count
            log.info("rows filled", backfill=self.name, count=count)
        return count
