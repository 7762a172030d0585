"""The service's own database: a pool, reads without ceremony, and what a route asks for.

One connection is `chassis.postgres`'s subject, a transaction `chassis.transaction`'s.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Annotated, Any
from urllib.parse import urlsplit

import asyncpg
from fastapi import Depends, Request
from prometheus_client import Counter, Gauge

from chassis import postgres
from chassis.actuator import Health
from chassis.errors import Busy, Unavailable
from chassis.postgres import DatabaseSettings
from chassis.statement import Statement
from chassis.tally import Histogram
from chassis.transaction import Transaction
from chassis.turns import Turns, Writers

IN_USE = Gauge("db_pool_connections_in_use", "Connections that are lent out", ["database"])
SIZE = Gauge("db_pool_connections", "Connections that are open", ["database"])
LIMIT = Gauge("db_pool_connections_max", "Connections that the pool may open", ["database"])
WAIT = Histogram(
    "db_pool_wait_seconds", "Time to get a connection", ["database"], buckets=(0.0005, 0.005, 0.05, 0.5, 5)
)
TIMEOUTS = Counter("db_pool_timeouts_total", "Requests that found no free connection in time", ["database"])

GRACE_SECONDS = 1.0
"""By so much the server's own limit for a statement is longer than ours."""
_REPLACING = frozenset({"PUT", "PATCH", "DELETE"})


class Database:
    """The pool, as a part of the process; reading on it straight uses a connection without BEGIN and COMMIT."""

    name = "db"
    role = None
    critical = True

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._label = urlsplit(settings.database_url).path.lstrip("/")
        self._pool: Any = None
        self.writers = Writers(settings.database_pool_size, settings.database_timeout_seconds)
        self.turns = Turns(settings.database_lock_timeout_seconds)

    async def start(self) -> None:
        """Makes the pool; connections open when they are needed."""
        self._pool = asyncpg.create_pool(
            **postgres.address(self._settings),
            min_size=0,
            max_size=self._settings.database_pool_size,
            command_timeout=self._settings.database_timeout_seconds,
            timeout=self._settings.database_timeout_seconds,
            init=self._prepare,
            # The default asks the server to reset the session after every use: a round trip for a state that we never
            # change.
            reset=postgres.reset,
        )
        with postgres.errors():
            await self._pool
        # Asked when somebody scrapes: both walk over all connections.
        SIZE.labels(self._label).set_function(lambda: self._pool.get_size() if self._pool is not None else 0)
        IN_USE.labels(self._label).set_function(self._in_use)
        LIMIT.labels(self._label).set(self._settings.database_pool_size)
        TIMEOUTS.labels(self._label)

    async def stop(self) -> None:
        """Closes every connection; those in use get a moment."""
        if self._pool is not None:
            try:
                async with asyncio.timeout(5):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()
            self._pool = None

    async def health(self) -> Health:
        """Up when the server answers."""
        connection = await self.acquire()
        try:
            version = await connection.fetchval("SELECT current_setting('server_version')")
        finally:
            await self.release(connection)
        return Health(up=True, details={"database": "PostgreSQL", "version": version})

    async def fetch_all(self, statement: Statement, /, **values: Any) -> list[Any]:
        """All rows."""
        return await self._read(statement, "fetch", values)  # type: ignore[no-any-return]

    async def fetch_one(self, statement: Statement, /, **values: Any) -> Any | None:
        """The first row, or None."""
        return await self._read(statement, "fetchrow", values)

    async def fetch_value(self, statement: Statement, /, **values: Any) -> Any:
        """The first column of the first row, or None."""
        return await self._read(statement, "fetchval", values)

    async def execute(self, statement: Statement, /, **values: Any) -> int:
        """The number of rows affected; the statement is its own transaction."""
        return postgres.affected(await self._read(statement, "execute", values))

    @asynccontextmanager
    async def transaction(self, *, tolerant: bool = False) -> AsyncIterator[Transaction]:
        """Commits at the end, rolls back on any error, then runs what waited for the commit.

        `tolerant`: a failure after the commit is logged and not raised, for callers whose answer it must not change.
        """
        tx = Transaction(self)
        try:
            yield tx
        except BaseException:
            await tx.finish(commit=False)
            raise
        await tx.finish(commit=True)
        await tx.settle(tolerant=tolerant)

    async def acquire(self) -> Any:
        """A connection from the pool.

        Raises:
            Unavailable: none came free in time, or the server cannot be reached.
        """
        if self._pool is None:
            raise Unavailable("database")
        started = time.perf_counter()
        try:
            with postgres.errors():
                connection = await self._pool.acquire(timeout=self._settings.database_timeout_seconds)
        except Unavailable:
            TIMEOUTS.labels(self._label).inc()
            raise
        WAIT.labels(self._label).observe(time.perf_counter() - started)
        return connection

    async def release(self, connection: Any, *, broken: bool = False) -> None:
        """Gives it back; a broken one is dropped, and the pool opens another."""
        # The pool may have taken a dead connection back by itself; then every word to it is refused.
        with suppress(*postgres.TROUBLE):
            if broken:
                connection.terminate()
            if self._pool is not None:
                await self._pool.release(connection)

    async def _prepare(self, connection: Any) -> None:
        await postgres.set_codecs(connection)
        # Whoever gives up a statement drops its connection, of which the server learns only when it has something to
        # say: what nobody waits for any more would run on and hold its locks.
        milliseconds = round((self._settings.database_timeout_seconds + GRACE_SECONDS) * 1000)
        # A lock that somebody holds for longer is not waited for: the connection is worth more to the others.
        lock = round(self._settings.database_lock_timeout_seconds * 1000)
        await connection.execute(f"SET statement_timeout = {milliseconds}; SET lock_timeout = {lock}")

    def _in_use(self) -> int:
        return self._pool.get_size() - self._pool.get_idle_size() if self._pool is not None else 0

    async def _read(self, statement: Statement, method: str, values: Mapping[str, Any]) -> Any:
        connection, broken = await self.acquire(), False
        try:
            return await postgres.run(statement, getattr(connection, method), values)
        except Unavailable as error:
            broken = not isinstance(error, Busy)
            raise
        finally:
            await self.release(connection, broken=broken)


async def _open(request: Request) -> AsyncIterator[Transaction]:
    database: Database = request.app.state.database
    async with AsyncExitStack() as stack:
        if request.method in _REPLACING:  # the path names what is changed
            await stack.enter_async_context(database.turns.turn(request.url.path))
        yield await stack.enter_async_context(database.transaction(tolerant=True))


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


InTransaction = Annotated[Transaction, Depends(_open, scope="function")]
"""A request's transaction: stands last in a signature, so that a refused token or body costs no connection."""

Reads = Annotated[Database, Depends(_database)]
"""For requests that only read."""
