"""A replica of a service, reduced to what touches the cache: it writes rows, reads them through the cache, and dies."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import sqlalchemy as sa
from chassis.cache import Cache
from chassis.db import Database
from chassis.evictions import RECORD, recorded
from chassis.postgres import DatabaseSettings
from chassis.settings import CacheSettings, ServiceSettings
from chassis.statement import Statement
from pydantic import BaseModel

CACHE = "things"
KEYS = ("1", "2")
LIST = "all"
"""The key whose reads and writes concern a list."""

thing = sa.Table(
    "thing", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True), sa.Column("version", sa.Integer, nullable=False)
)


def _write(key: str | None) -> Statement:
    change = sa.update(thing).where(thing.c.id == sa.bindparam("of")).values(version=thing.c.version + 1)
    return Statement(recorded(change.returning(thing.c.id, thing.c.version), CACHE, key))


_WRITE, _WRITE_LIST = _write("id"), _write(None)
_READ = Statement(sa.select(thing.c.version).where(thing.c.id == sa.bindparam("of")))
_graveyard: list[Any] = []


class Settings(ServiceSettings, DatabaseSettings, CacheSettings):
    service_name = "coherence-test"


class Thing(BaseModel):
    version: int


class Killed(BaseException):
    """The process ends here."""


class Replica:
    """`settings` lead to the database, and to Redis by a proxy of the replica's own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.fills = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self) -> None:
        others = asyncio.all_tasks()
        self.database = Database(self._settings)
        self.cache = Cache(self._settings, self.database, Thing)
        await self.database.start()
        await self.cache.start()
        self._tasks = asyncio.all_tasks() - others

    async def stop(self) -> None:
        await self.cache.stop()
        await self.database.stop()

    async def write(self, key: str) -> int:
        """The new version, acknowledged."""
        async with self.database.transaction(tolerant=True) as tx:
            row = await tx.fetch_one(_WRITE_LIST if key == LIST else _WRITE, of=key)
            assert row is not None
            tx.after_commit(lambda: self._evict(key, row[RECORD]))
        return int(row["version"])

    async def _evict(self, key: str, record: int) -> None:
        if key == LIST:
            await self.cache.bump(CACHE, record)
        else:
            await self.cache.evict(CACHE, key, record=record)

    async def read(self, key: str) -> int:
        """The version that the cache answers."""
        read = self.cache.get_or_fill_list if key == LIST else self.cache.get_or_fill
        answer = await read(CACHE, "{id}", key, lambda: self._fill(key))
        assert answer is not None
        return int(answer)

    async def current(self, key: str) -> int:
        return int(await self.database.fetch_value(_READ, of=key))

    async def _fill(self, key: str) -> bytes:
        self.fills += 1
        version = await self.current(key)
        await self.gate.wait()
        return b"%d" % version

    async def write_until(self, key: str, steps: int) -> int:
        """Killed when the write waits for the `steps`-th time; its version if it did not wait so often."""
        # In a task of its own: a time-out that it leaves behind cancels that one.
        return await asyncio.create_task(_abandon(self.write(key), steps))

    async def kill(self) -> None:
        """Nothing is cleaned up: the connections end, as the kernel ends them."""
        self.database.pool._pool.terminate()  # what would end them politely is what a killed process does not do
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _abandon(coroutine: Coroutine[Any, Any, int], steps: int) -> int:
    return int(await _Abandoned(coroutine, steps))


class _Abandoned:
    """Awaits a coroutine as far as its n-th wait and never goes on, not even to clean up."""

    def __init__(self, coroutine: Coroutine[Any, Any, int], steps: int) -> None:
        self._coroutine = coroutine
        self._steps = steps

    def __await__(self) -> Any:
        waits = self._coroutine.__await__()
        _graveyard.append(waits)
        for _ in range(self._steps):
            try:
                waited = next(waits)
            except StopIteration as done:
                return done.value
            yield waited
        try:
            next(waits)
        except StopIteration as done:
            return done.value
        raise Killed
