"""The service's own database: a pool, reads without ceremony, and one lazy transaction per request or message."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Protocol
from urllib.parse import urlsplit
from uuid import UUID, SafeUUID

import asyncpg
import orjson
from fastapi import Depends, Request
from prometheus_client import Counter, Gauge

from chassis import telemetry, tracing
from chassis.actuator import Health
from chassis.errors import Conflict, Unavailable
from chassis.security import database_tls
from chassis.settings import DatabaseSettings
from chassis.statement import Statement
from chassis.tally import Histogram

__all__ = ["Database", "InTransaction", "Reader", "Reads", "Statement", "Transaction", "connect"]

log = telemetry.logger(__name__)

IN_USE = Gauge("db_pool_connections_in_use", "Connections that are lent out", ["database"])
SIZE = Gauge("db_pool_connections", "Connections that are open", ["database"])
LIMIT = Gauge("db_pool_connections_max", "Connections that the pool may open", ["database"])
WAIT = Histogram(
    "db_pool_wait_seconds", "Time to get a connection", ["database"], buckets=(0.0005, 0.005, 0.05, 0.5, 5)
)
TIMEOUTS = Counter("db_pool_timeouts_total", "Requests that found no free connection in time", ["database"])

GRACE_SECONDS = 1.0
"""By so much the server's own limit for a statement is longer than ours."""

_POSTGRESQL = {"db.system.name": "postgresql"}
Record = Mapping[str, Any]
Callback = Callable[[], Awaitable[None]]

_TROUBLE = (
    OSError,  # refused, reset, and TimeoutError
    EOFError,  # the server died in the middle of a sentence
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server said goodbye on an idle connection that was then used
)


class Reader(Protocol):
    """What a query function needs; a Transaction and a Database both are one."""

    async def fetch_all(self, statement: Statement, /, **values: Any) -> list[Any]:
        """All rows, readable by column name and position."""

    async def fetch_one(self, statement: Statement, /, **values: Any) -> Any | None:
        """The first row, or None."""

    async def fetch_value(self, statement: Statement, /, **values: Any) -> Any:
        """The first column of the first row, or None."""

    async def execute(self, statement: Statement, /, **values: Any) -> int:
        """The number of rows affected."""


class Transaction:
    """One transaction. It takes a connection at its first statement; committing is its owner's business, not yours."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._connection: Any = None
        self._begun = False
        self._broken = False
        self._after: list[Callback] = []

    async def fetch_all(self, statement: Statement, /, **values: Any) -> list[Any]:
        """All rows."""
        return await self._run(statement, "fetch", values)  # type: ignore[no-any-return]

    async def fetch_one(self, statement: Statement, /, **values: Any) -> Any | None:
        """The first row, or None."""
        return await self._run(statement, "fetchrow", values)

    async def fetch_value(self, statement: Statement, /, **values: Any) -> Any:
        """The first column of the first row, or None."""
        return await self._run(statement, "fetchval", values)

    async def execute(self, statement: Statement, /, **values: Any) -> int:
        """The number of rows affected."""
        return _affected(await self._run(statement, "execute", values))

    async def execute_many(self, statement: Statement, rows: Iterable[Mapping[str, Any]], /) -> None:
        """One statement for many rows, in one round trip."""
        connection = await self._open()
        arguments = [statement.arguments(row) for row in rows]
        with tracing.child(statement.summary, _POSTGRESQL), _errors(statement):
            await connection.executemany(statement.sql, arguments)

    async def execute_sql(self, sql: str, /, *arguments: Any) -> None:
        """Plain SQL, for the few tables that belong to no service."""
        connection = await self._open()
        with _errors():
            await connection.execute(sql, *arguments)

    @property
    def database(self) -> "Database":
        """Where it runs."""
        return self._database

    def after_commit(self, callback: Callback) -> None:
        """Runs once the data is safe, in the order of the calls; never when the transaction rolls back."""
        self._after.append(callback)

    async def _run(self, statement: Statement, method: str, values: Mapping[str, Any]) -> Any:
        connection = await self._open()
        try:
            return await _run(statement, getattr(connection, method), values)
        except Unavailable:
            self._broken = True
            raise

    async def _open(self) -> Any:
        if self._broken:
            raise Unavailable("database")
        if not self._begun:
            self._connection = await self._database.acquire()
            try:
                with _errors():
                    await self._connection.execute("BEGIN")
            except Unavailable:
                self._broken = True
                raise
            self._begun = True
        return self._connection

    async def finish(self, *, commit: bool) -> None:
        """Commits or rolls back, and gives the connection back.

        Raises:
            Unavailable: whether it was committed is not known, or the connection was lost before.
            RuntimeError: a statement had failed and its error was passed over, so that nothing was committed.
        """
        if self._connection is None:
            return
        try:
            if self._begun and not self._broken:
                await self._end("COMMIT" if commit else "ROLLBACK")
            elif commit:
                raise Unavailable("database")
        finally:
            connection, self._connection = self._connection, None
            await self._database.release(connection, broken=self._broken)

    async def _end(self, command: str) -> None:
        with tracing.child(command, _POSTGRESQL), _errors():
            done = await self._connection.execute(command)
        # The server answers COMMIT with ROLLBACK, and without an error, where a statement had failed.
        if done != command:
            raise RuntimeError("a statement had failed: nothing was committed")

    async def settle(self, *, tolerant: bool) -> None:
        """Runs what waited for the commit; `tolerant` logs a failure instead of raising it."""
        for callback in self._after:
            try:
                await callback()
            except Exception:
                if not tolerant:
                    raise
                log.warning("work after the commit failed", exc_info=True)


class Database:
    """The pool, as a part of the process; reading on it straight uses a connection without BEGIN and COMMIT."""

    name = "db"
    role = None
    critical = True

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._label = urlsplit(settings.database_url).path.lstrip("/")
        self._pool: Any = None

    async def start(self) -> None:
        """Makes the pool; connections open when they are needed."""
        self._pool = asyncpg.create_pool(
            **address(self._settings),
            min_size=0,
            max_size=self._settings.database_pool_size,
            command_timeout=self._settings.database_timeout_seconds,
            timeout=self._settings.database_timeout_seconds,
            init=self._prepare,
            # The default asks the server to reset the session after every use: a round trip for a state that we never
            # change.
            reset=_reset,
        )
        with _errors():
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
        return _affected(await self._read(statement, "execute", values))

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
            with _errors():
                connection = await self._pool.acquire(timeout=self._settings.database_timeout_seconds)
        except Unavailable:
            TIMEOUTS.labels(self._label).inc()
            raise
        WAIT.labels(self._label).observe(time.perf_counter() - started)
        return connection

    async def release(self, connection: Any, *, broken: bool = False) -> None:
        """Gives it back; a broken one is dropped, and the pool opens another."""
        # The pool may have taken a dead connection back by itself; then every word to it is refused.
        with suppress(*_TROUBLE):
            if broken:
                connection.terminate()
            if self._pool is not None:
                await self._pool.release(connection)

    async def _prepare(self, connection: Any) -> None:
        await _codecs(connection)
        # Whoever gives up a statement drops its connection, of which the server learns only when it has something to
        # say: what nobody waits for any more would run on and hold its locks.
        milliseconds = round((self._settings.database_timeout_seconds + GRACE_SECONDS) * 1000)
        await connection.execute(f"SET statement_timeout = {milliseconds}")

    def _in_use(self) -> int:
        return self._pool.get_size() - self._pool.get_idle_size() if self._pool is not None else 0

    async def _read(self, statement: Statement, method: str, values: Mapping[str, Any]) -> Any:
        connection, broken = await self.acquire(), False
        try:
            return await _run(statement, getattr(connection, method), values)
        except Unavailable:
            broken = True
            raise
        finally:
            await self.release(connection, broken=broken)


_KEEPALIVES = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"


def address(settings: DatabaseSettings) -> dict[str, Any]:
    """What asyncpg needs to connect: dsn, user, password, ssl."""
    return {
        "dsn": settings.database_url,
        "user": settings.database_user,
        "password": settings.database_password.get_secret_value(),
        "ssl": database_tls(settings),
    }


async def connect(settings: DatabaseSettings, *, command_timeout: float | None = None) -> Any:
    """A connection outside every pool: a pool's reset would drop the advisory locks that it is for.

    A server whose host is gone sends nothing, not even an end: `command_timeout` (seconds) notices on our side, and
    keepalives on the server's, which would otherwise hold the locks of a client that is gone for two hours.

    Raises:
        Unavailable: the server cannot be reached.
    """
    limit = settings.database_timeout_seconds
    with _errors():
        connection = await asyncpg.connect(**address(settings), timeout=limit, command_timeout=command_timeout)
        await _codecs(connection)
        await connection.execute(_KEEPALIVES)
        return connection


class _errors:
    """Turns the driver's errors into ours; a plain context manager, because it stands around every statement."""

    __slots__ = ("_conflicts",)

    def __init__(self, statement: Statement | None = None) -> None:
        self._conflicts = statement.conflicts if statement else {}

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, asyncpg.UniqueViolationError) and error.constraint_name in self._conflicts:
            field = self._conflicts[error.constraint_name]
            raise Conflict(f"{field} is already taken", field) from None
        if isinstance(error, _TROUBLE) or _is_closed_transport(error):
            raise Unavailable("database") from error


def _is_closed_transport(error: BaseException | None) -> bool:
    """What uvloop says of a connection that the server closed before it was written to."""
    return isinstance(error, RuntimeError) and "the handler is closed" in str(error)


async def _run(statement: Statement, method: Callable[..., Awaitable[Any]], values: Mapping[str, Any]) -> Any:
    arguments = statement.arguments(values)
    with tracing.child(statement.summary, _POSTGRESQL), _errors(statement):
        return await method(statement.sql, *arguments)


def _affected(status: str) -> int:
    last = status.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


async def _reset(connection: Any) -> None:
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")


async def _codecs(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
        )
    # asyncpg's own UUID class is not the standard library's, and orjson refuses it.
    await connection.set_type_codec(
        "uuid",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: value.bytes,
        decoder=_uuid,
    )


def _uuid(raw: bytes) -> UUID:
    """Made without the constructor, whose checks of five possible arguments cost more than the rest of the row."""
    made = UUID.__new__(UUID)
    object.__setattr__(made, "int", int.from_bytes(raw, "big"))
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made


async def _open(request: Request) -> AsyncIterator[Transaction]:
    async with request.app.state.database.transaction(tolerant=True) as tx:
        yield tx


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


InTransaction = Annotated[Transaction, Depends(_open, scope="function")]
"""A request's transaction: stands last in a signature, so that a refused token or body costs no connection."""

Reads = Annotated[Database, Depends(_database)]
"""For requests that only read."""
