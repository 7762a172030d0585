"""The service's own database: reads without ceremony, transactions, and what a route asks for.

The connections are `chassis.pool`'s subject, one transaction is `chassis.transaction`'s.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, Request

from chassis import postgres
from chassis.actuator import Health
from chassis.again import REPEATED
from chassis.errors import LostRace, Unavailable
from chassis.pool import Pool
from chassis.postgres import DatabaseSettings
from chassis.statement import Statement
from chassis.transaction import Transaction
from chassis.turns import Turns, Writers

_READ_ONLY = sa.func.current_setting("transaction_read_only") == sa.literal_column("'on'")
_ABOUT = Statement(
    sa.select(
        sa.func.current_setting("server_version").label("version"),
        sa.not_(_READ_ONLY | sa.func.pg_is_in_recovery()).label("writable"),
    )
)

_REPLACING = frozenset({"PUT", "PATCH", "DELETE"})


class Database:
    """The pool, as a part of the process; reading on it straight uses a connection without BEGIN and COMMIT."""

    name = "db"
    role = None
    critical = True

    def __init__(self, settings: DatabaseSettings) -> None:
        self.pool = Pool(settings)
        self.writers = Writers(settings.database_pool_size, settings.database_lock_timeout_seconds)
        self.turns = Turns(settings.database_lock_timeout_seconds)

    async def start(self) -> None:
        """Makes the pool; connections open when they are needed."""
        await self.pool.start()

    async def stop(self) -> None:
        """Closes every connection; those in use get a moment."""
        await self.pool.stop()

    async def health(self) -> Health:
        """Up while reads are answered; the details say whether writes are taken."""
        about, writability = await self._read(_ABOUT, "fetchrow", {}), self.pool.writability
        if not about["writable"] and writability.now:
            writability.trouble(refused=True)
        details = {"database": "PostgreSQL", "version": about["version"], "writable": writability.now}
        return Health(up=True, details=details)

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
        """A connection. Raises Unavailable."""
        return await self.pool.acquire()

    async def release(self, connection: Any, *, broken: bool = False) -> None:
        """Gives it back; a broken one is dropped."""
        await self.pool.release(connection, broken=broken)

    async def _read(self, statement: Statement, method: str, values: Mapping[str, Any]) -> Any:
        try:
            return await self._try(statement, method, values)
        except LostRace:
            REPEATED.inc()
            return await self._try(statement, method, values)

    async def _try(self, statement: Statement, method: str, values: Mapping[str, Any]) -> Any:
        if not statement.locks:
            return await self._once(statement, method, values)
        async with self.writers:
            return await self._once(statement, method, values)

    async def _once(self, statement: Statement, method: str, values: Mapping[str, Any]) -> Any:
        connection, broken = await self.acquire(), False
        try:
            return await postgres.run(statement, getattr(connection, method), values)
        except Unavailable as error:
            broken = self.pool.failed(error)
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
