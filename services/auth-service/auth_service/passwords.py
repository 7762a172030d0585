"""Password hashes: bcrypt on a few threads, at the same cost whether or not the user exists."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import bcrypt
from chassis.actuator import Health

from auth_service.fairqueue import FairQueue
from auth_service.settings import Settings
from auth_service.throttle import Caller, Throttle

_WEIGHT = 0.2
"""Of the latest hash in the moving average of what one costs."""

Answer = TypeVar("Answer")


class Passwords:
    """A part: hashes and checks. Requests do so within `turn`, because a hash costs a quarter of a second."""

    name = "passwords"
    role = None
    critical = False

    def __init__(self, settings: Settings) -> None:
        self._cost = settings.bcrypt_cost
        self._threads = settings.hashing_threads
        self._seconds = 0.0
        self._pool: ThreadPoolExecutor | None = None
        self._nobody = b""
        self.throttle = Throttle()
        self._queue = FairQueue(self._threads, lambda: self._seconds, self.throttle)

    async def start(self) -> None:
        """Makes the hash that unknown users are checked against."""
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="bcrypt")
        self._nobody = (await self.hash("nobody has this password")).encode()

    async def stop(self) -> None:
        """Lets go of the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def health(self) -> Health:
        """Up: the queue refuses what it cannot do in time."""
        return Health(up=True, details={"waiting": len(self._queue), "seconds": round(self._seconds, 3)})

    def turn(self, caller: Caller) -> AbstractAsyncContextManager[None]:
        """The right to hash once; raises what `FairQueue.turn` raises."""
        return self._queue.turn(caller)

    async def hash(self, password: str) -> str:
        """A salted hash, `$2b$…`."""
        return (await self._run(lambda: bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._cost)))).decode()

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Whether the password is the one; None, for a user who does not exist, takes as long and is False."""
        raw = password.encode()
        fits = len(raw) <= 72
        against = hashed.encode() if hashed is not None else self._nobody
        matched = await self._run(lambda: bcrypt.checkpw(raw if fits else raw[:72], against))
        return matched and fits and hashed is not None

    async def _run(self, work: Callable[[], Answer]) -> Answer:
        def timed() -> tuple[Answer, float]:
            began = time.perf_counter()
            return work(), time.perf_counter() - began

        answer, took = await asyncio.get_running_loop().run_in_executor(self._pool, timed)
        self._seconds += (took - self._seconds) * (_WEIGHT if self._seconds else 1.0)
        return answer
