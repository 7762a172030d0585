"""One lazy transaction per request or message, and what a query needs to know of where it reads."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from chassis import logs, postgres, tracing
from chassis.errors import Unavailable
from chassis.statement import Statement

if TYPE_CHECKING:
    from chassis.db import Database

log = logs.logger(__name__)

Callback = Callable[[], Awaitable[None]]


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
        self._failed: Unavailable | None = None
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
        return postgres.affected(await self._run(statement, "execute", values))

    async def execute_many(self, statement: Statement, rows: Iterable[Mapping[str, Any]], /) -> None:
        """One statement for many rows, in one round trip."""
        connection = await self._open()
        arguments = [statement.arguments(row) for row in rows]
        with self._noticing(), tracing.child(statement.summary, postgres.SPAN), postgres.errors(statement):
            await connection.executemany(statement.sql, arguments)

    async def execute_sql(self, sql: str, /, *arguments: Any) -> None:
        """Plain SQL, for the few tables that belong to no service."""
        connection = await self._open()
        with self._noticing(), postgres.errors():
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
            return await postgres.run(statement, getattr(connection, method), values)
        except Unavailable as error:
            self._notice(error)
            raise

    def _notice(self, error: Unavailable) -> None:
        self._failed, self._broken = error, self._database.pool.failed(error) or self._broken

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except Unavailable as error:
            self._notice(error)
            raise

    async def _open(self) -> Any:
        if self._failed:  # whatever its statements were, they are not committed any more
            raise self._failed
        if not self._begun:
            self._connection = await self._acquired()
            with self._noticing(), postgres.errors():
                await self._connection.execute("BEGIN")
            self._begun = True
        return self._connection

    async def _acquired(self) -> Any:
        await self._database.writers.enter()
        try:
            return await self._database.acquire()
        except BaseException as error:
            self._database.writers.leave()
            self._failed = error if isinstance(error, Unavailable) else None
            raise

    async def finish(self, *, commit: bool) -> None:
        """Commits or rolls back, and gives the connection back.

        Raises:
            Unavailable: whether it was committed is not known, or the database had failed before.
            RuntimeError: a statement had failed and its error was passed over, so that nothing was committed.
        """
        if self._connection is None:
            if commit and self._failed:
                raise self._failed
            return
        try:
            if commit and self._begun and not self._failed:
                await self._end("COMMIT")
            elif self._begun and not self._broken:
                with suppress(Unavailable):
                    await self._end("ROLLBACK")
            if commit and self._failed:
                raise self._failed
        finally:
            connection, self._connection = self._connection, None
            try:
                await self._database.release(connection, broken=self._broken)
            finally:
                self._database.writers.leave()

    async def _end(self, command: str) -> None:
        with self._noticing(), tracing.child(command, postgres.SPAN), postgres.errors():
            done = await self._connection.execute(command)
        # The server answers COMMIT with ROLLBACK, and without an error, where a statement had failed.
        if done != command:
            raise RuntimeError("a statement had failed: nothing was committed")
        if command == "COMMIT":
            self._database.pool.committed()

    async def settle(self, *, tolerant: bool) -> None:
        """Runs what waited for the commit; `tolerant` logs a failure instead of raising it."""
        for callback in self._after:
            try:
                await callback()
            except Exception:
                if not tolerant:
                    raise
                log.warning("work after the commit failed", exc_info=True)
