"""A gate before the writes of one table: whoever wants to pass waits until the test opens it, or dies there."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.chaos.platform import Platform

LOCK = 4711  # an advisory lock that everybody who passes takes for the rest of the transaction
CLOSE = """
    CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared({lock}); RETURN NULL; END $$;
    CREATE TRIGGER gate BEFORE {what} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION gate();
"""
OPEN = "DROP TRIGGER gate ON {table}; DROP FUNCTION gate()"
PASSING = """
    SELECT pid, granted, clock_timestamp() - waitstart AS waited FROM pg_locks
    WHERE locktype = 'advisory' AND mode = 'ShareLock' AND objid = $1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Gate:
    """A closed gate; whoever waits at it holds a transaction open."""

    def __init__(self, keeper: asyncpg.Connection) -> None:
        self.keeper = keeper

    async def waiting(self, under: float = math.inf) -> list[int]:
        """The backends (pid) that want to pass, and came less than `under` seconds ago."""
        rows = [row for row in await self.keeper.fetch(PASSING, LOCK) if not row["granted"]]
        return [row["pid"] for row in rows if row["waited"] is None or row["waited"].total_seconds() < under]

    async def passed(self) -> bool:
        """Whether all who came have ended their transactions; once it is open."""
        return not await self.keeper.fetch(PASSING, LOCK)

    async def open(self) -> None:
        """Let everybody pass."""
        await self.keeper.execute("SELECT pg_advisory_unlock($1)", LOCK)


@asynccontextmanager
async def closed(platform: Platform, database: str, table: str, what: str) -> AsyncIterator[Gate]:
    """A gate before `what` (DELETE, INSERT OR UPDATE …) on a table; it is gone afterwards."""
    async with platform.stack.database(database) as keeper:
        await keeper.execute(CLOSE.format(lock=LOCK, what=what, table=table))
        await keeper.execute("SELECT pg_advisory_lock($1)", LOCK)
        try:
            yield Gate(keeper)
        finally:
            await keeper.execute("SELECT pg_advisory_unlock_all()")
            await keeper.execute(OPEN.format(table=table))
