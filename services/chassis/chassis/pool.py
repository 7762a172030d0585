"""The pool: connections with today's credentials, and what becomes of them after an error.

`chassis.db` reads and writes through it, `chassis.writability` watches whether it can.
"""

import asyncio
import math
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from prometheus_client import Counter, Gauge

from chassis import postgres
from chassis.classification import DISK_FULL, READ_ONLY, Session, session_after, sqlstate
from chassis.codecs import set_codecs
from chassis.errors import Unavailable
from chassis.postgres import DatabaseSettings
from chassis.recovery import recovery
from chassis.tally import Histogram
from chassis.writability import Writability

IN_USE = Gauge("db_pool_connections_in_use", "Connections that are lent out", ["database"])
SIZE = Gauge("db_pool_connections", "Connections that are open", ["database"])
LIMIT = Gauge("db_pool_connections_max", "Connections that the pool may open", ["database"])
WAIT = Histogram(
    "db_pool_wait_seconds", "Time to get a connection", ["database"], buckets=(0.0005, 0.005, 0.05, 0.5, 5)
)
TIMEOUTS = Counter("db_pool_timeouts_total", "Requests that found no free connection in time", ["database"])

SERVERS_SHARE = 0.9
"""The server's own limit for a statement, as a share of ours."""

PROBE_SECONDS = 2.0
RENEWED_APART_SECONDS = 1.0


class Pool:
    """At most `database_pool_size` connections, opened when they are needed."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._label = urlsplit(settings.database_url).path.lstrip("/")
        self._pool: Any = None
        self._renewed = -math.inf
        self._watch: asyncio.Task[None] | None = None
        self.writability = Writability(self._label, self._probe, self._works)
        self.epoch = 0
        """Grows with every renewal of all sessions; whoever keeps one outside the pool opens it anew then."""

    async def start(self) -> None:
        """Make the pool and begin to watch whether the database takes writes."""
        limit = self._settings.database_timeout_seconds
        self._pool = asyncpg.create_pool(
            min_size=0,
            max_size=self._settings.database_pool_size,
            connect=self._connect,
            command_timeout=limit,
            timeout=limit,
            init=self._prepare,
            # The default asks the server to reset the session after every use: a round trip for a state that we never
            # change.
            reset=postgres.reset,
        )
        await self._pool
        self._watch = asyncio.create_task(self.writability.watch(), name="database probe")
        # Asked when somebody scrapes: both walk over all connections.
        SIZE.labels(self._label).set_function(lambda: self._pool.get_size() if self._pool is not None else 0)
        IN_USE.labels(self._label).set_function(self._in_use)
        LIMIT.labels(self._label).set(self._settings.database_pool_size)
        TIMEOUTS.labels(self._label)

    async def stop(self) -> None:
        """Close every connection; those in use get a moment."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        recovery.forget(self)
        if self._pool is not None:
            try:
                async with asyncio.timeout(5):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()
            self._pool = None

    async def acquire(self) -> Any:
        """A connection.

        Raises:
            Unavailable: none came free in time, or no session can be opened.
        """
        if self._pool is None:
            raise Unavailable("database")
        started = time.perf_counter()
        try:
            with postgres.reaching():
                connection = await self._pool.acquire(timeout=self._settings.database_timeout_seconds)
        except Unavailable as error:
            TIMEOUTS.labels(self._label).inc()
            self.failed(error)
            raise
        WAIT.labels(self._label).observe(time.perf_counter() - started)
        return connection

    async def release(self, connection: Any, *, broken: bool = False) -> None:
        """Give it back; a broken one is dropped, and the pool opens another."""
        # The pool may have taken a dead connection back by itself; then every word to it is refused.
        with suppress(Unavailable), postgres.reaching():
            if broken:
                connection.terminate()
            if self._pool is not None:
                await self._pool.release(connection)

    def failed(self, error: Unavailable) -> bool:
        """A session raised this; whether it is broken. Where all sessions may be of no use, all are renewed."""
        code, after = sqlstate(error), session_after(error)
        if after is Session.RENEW:
            self._renew()
        if after is not Session.KEEP or code == DISK_FULL:
            recovery.failed(self)
            self.writability.trouble(refused=code == READ_ONLY, full=code == DISK_FULL)
        return after is Session.DROP

    def committed(self) -> None:
        """A write was taken."""
        self.writability.took_a_write()
        recovery.succeeded(self)

    def _works(self, again: bool) -> None:
        if again:  # older sessions know nothing of it
            self._renewed = -math.inf
            self._renew()
        recovery.succeeded(self)

    def _renew(self) -> None:
        # Not for every statement that fails: new sessions would fail alike, and readers would pay for each of them.
        now = time.monotonic()
        if self._pool is not None and now - self._renewed >= RENEWED_APART_SECONDS:
            self._renewed = now
            self.epoch += 1
            self._pool._generation += 1  # all that `expire_connections` does, which is a coroutine

    async def _connect(self, *_: Any, **options: Any) -> Any:
        return await postgres.session(self._settings, **options)

    async def _probe(self) -> Any:
        limit = min(PROBE_SECONDS, self._settings.database_timeout_seconds)
        return await postgres.session(self._settings, timeout=limit, command_timeout=limit)

    async def _prepare(self, connection: Any) -> None:
        await set_codecs(connection)
        # The server ends a statement a little before we give it up: then its session is in order and is kept. One that
        # we gave up has to be closed, which the server notices only when it has something to say.
        milliseconds = round(self._settings.database_timeout_seconds * SERVERS_SHARE * 1000)
        # A lock that somebody holds for longer is not waited for: the connection is worth more to the others.
        lock = round(self._settings.database_lock_timeout_seconds * 1000)
        await connection.execute(f"SET statement_timeout = {milliseconds}; SET lock_timeout = {lock}")

    def _in_use(self) -> int:
        return self._pool.get_size() - self._pool.get_idle_size() if self._pool is not None else 0
