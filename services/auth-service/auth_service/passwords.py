"""Password hashes: bcrypt in a bounded pool of threads, at the same cost whether or not the user exists."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt
from chassis.actuator import Health
from chassis.errors import Unavailable

from auth_service.settings import Settings

QUEUE = 64

Answer = TypeVar("Answer")


class Passwords:
    """A part: hashes and checks. A login costs a quarter of a second of a processor, so only so many may wait."""

    name = "passwords"
    role = None
    critical = False

    def __init__(self, settings: Settings) -> None:
        self._cost = settings.bcrypt_cost
        self._threads = settings.hashing_threads
        self._waiting = 0
        self._pool: ThreadPoolExecutor | None = None
        self._nobody = b""

    async def start(self) -> None:
        """Makes the hash that unknown users are checked against."""
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="bcrypt")
        self._nobody = (await self.hash("nobody has this password")).encode()

    async def stop(self) -> None:
        """Lets go of the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def health(self) -> Health:
        """Up while there is room in the queue."""
        return Health(up=self._waiting < QUEUE, details={"waiting": self._waiting})

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
        if self._waiting >= QUEUE:
            raise Unavailable("password hashing", retry_after=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
