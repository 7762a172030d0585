"""Whether the database takes writes: a demoted primary, a reader's endpoint and a full disk all still answer reads."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from prometheus_client import Gauge

from chassis import logs
from chassis.classification import Verdict, classify

log = logs.logger(__name__)

WRITABLE = Gauge("db_writable", "1 while a new session may write, 0 while the database refuses writes", ["database"])

CALM_SECONDS, TROUBLED_SECONDS = 5.0, 1.0
FULL_SECONDS = 30.0
"""So long a full disk is believed in after the last write that it refused; it shows in nothing but a write."""

_PROBE = "SELECT current_setting('transaction_read_only') = 'off' AND NOT pg_is_in_recovery()"


class Writability:
    """Asked by a session of its own each time, because a session keeps what its role and server said at its start.

    `connect` opens one. `works` is called when writes are possible after a session had trouble, with True when the
    probe had found that they were not. The probe writes nothing.
    """

    def __init__(self, label: str, connect: Callable[[], Awaitable[Any]], works: Callable[[bool], None]) -> None:
        self._connect = connect
        self._works = works
        self._gauge = WRITABLE.labels(label)
        self._gauge.set(1)
        self._may_write = True
        self._full_until = -math.inf
        self._troubled = asyncio.Event()

    @property
    def now(self) -> bool:
        """Whether writes are expected to succeed."""
        return self._may_write and time.monotonic() >= self._full_until

    def trouble(self, *, refused: bool = False, full: bool = False) -> None:
        """A session failed: probe soon. `refused`: the server said that it is read-only; `full`: that its disk is."""
        if full:
            self._full_until = time.monotonic() + FULL_SECONDS
        if refused:
            self._may_write = False
        self._publish()
        self._troubled.set()

    def took_a_write(self) -> None:
        """A write was committed."""
        if self._full_until > 0:
            self._full_until = -math.inf
            self._publish()

    async def watch(self) -> None:
        """Probe until cancelled."""
        while True:
            troubled = self._troubled.is_set()
            if troubled and not self.now:
                await asyncio.sleep(TROUBLED_SECONDS)
            elif not troubled:
                with suppress(TimeoutError):
                    async with asyncio.timeout(CALM_SECONDS):
                        await self._troubled.wait()
            await self._look()

    async def _look(self) -> None:
        troubled = self._troubled.is_set()
        self._troubled.clear()
        may_write, before = await self._probe(), self._may_write
        self._may_write = may_write
        self._publish()
        if not may_write:
            self._troubled.set()
        elif troubled:
            self._works(not before)
        if before != may_write:
            log.warning("the database takes writes again" if may_write else "the database refuses writes")

    async def _probe(self) -> bool:
        try:
            connection = await self._connect()
        except Exception as error:
            if classify(error) is Verdict.BUG:
                log.error("the database cannot be probed", exc_info=True)
            return False
        try:
            return bool(await connection.fetchval(_PROBE, timeout=TROUBLED_SECONDS))
        except Exception:  # whatever it is, it is no answer
            return False
        finally:
            with suppress(Exception):
                await connection.close(timeout=TROUBLED_SECONDS)

    def _publish(self) -> None:
        self._gauge.set(int(self.now))
