"""Who may wait for locks with a connection: one writer for each row, and never with all connections.

PostgreSQL makes writers of one row wait for each other. If they waited there, each would hold one of the pool's few
connections, and one locked row would leave none for everything else. They wait here instead, without a connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.errors import Busy, Unavailable

KEPT_FOR_READERS = 4
"""One in so many connections is never lent to what can wait for a lock."""


class Writers:
    """The share of a pool of `size` connections for transactions and for statements that lock rows (`Statement.locks`).

    The first come are the first served.
    """

    def __init__(self, size: int, seconds: float) -> None:
        self._free = asyncio.Semaphore(max(1, size - size // KEPT_FOR_READERS))
        self._seconds = seconds

    async def enter(self) -> None:
        """Take one.

        Raises:
            Unavailable: none came free within `seconds`.
        """
        if not self._free.locked():
            await self._free.acquire()  # at once
            return
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Unavailable("database") from None

    def leave(self) -> None:
        """Give it back."""
        self._free.release()

    async def __aenter__(self) -> None:
        await self.enter()

    async def __aexit__(self, *_: object) -> None:
        self.leave()


class Turns:
    """Lets one caller at a time through for each key, in the order of arrival. Holds nothing for keys not in use."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._locks: dict[str, asyncio.Lock] = {}
        self._users: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Enter when it is this caller's turn.

        Raises:
            Busy: it was not within `seconds`.
        """
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] = self._users.get(key, 0) + 1
        try:
            await self._acquire(lock)
            try:
                yield
            finally:
                lock.release()
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]

    async def _acquire(self, lock: asyncio.Lock) -> None:
        if not lock.locked():
            await lock.acquire()  # at once
            return
        try:
            async with asyncio.timeout(self._seconds):
                await lock.acquire()
        except TimeoutError:
            raise Busy("the resource, which somebody else is changing,") from None
