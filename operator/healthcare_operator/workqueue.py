"""One queue of platforms: each worked on by one worker at a time, wishes coalesced, failures backed off."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

Key = tuple[str, str]
"""Namespace and name."""

log = structlog.get_logger()

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 60.0


class WorkQueue:
    """`work(key)` answers when it wants to be called again, in seconds; raising means soon, and later each time.

    What is urgent comes first: one edit does not wait for a hundred platforms whose pods are coming up. One worker of
    several takes whatever is due longest, so that nothing is put off for ever.
    """

    def __init__(self, work: Callable[[Key], Awaitable[float]], workers: int) -> None:
        self._work = work
        self._workers = workers
        self._due: dict[Key, float] = {}
        self._asked: dict[Key, float] = {}
        self._works = False
        self._urgent: set[Key] = set()
        self._running: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()

    def add(self, key: Key, delay: float = 0.0, *, urgent: bool = False) -> None:
        """Asks for a pass; the earliest wish counts."""
        if urgent:
            self._urgent.add(key)
        self._asked[key] = time.monotonic()
        due = self._asked[key] + delay
        self._due[key] = min(due, self._due.get(key, due))
        self._changed.set()

    def forget(self, key: Key) -> None:
        """The platform is gone."""
        self._due.pop(key, None)
        self._asked.pop(key, None)
        self._urgent.discard(key)
        self._failures.pop(key, None)

    @property
    def depth(self) -> int:
        """How many platforms are due and not worked on."""
        now = time.monotonic()
        return sum(due <= now and key not in self._running for key, due in self._due.items())

    @property
    def longest(self) -> float:
        """Seconds that the longest pass has been under way."""
        now = time.monotonic()
        return max((now - since for since in self._running.values()), default=0.0)

    @property
    def age(self) -> float:
        """Seconds that the oldest wish is overdue; none is while nobody is to work."""
        now = time.monotonic()
        if not self._works:
            return 0.0
        return max((now - due for key, due in self._due.items() if key not in self._running), default=0.0)

    async def run(self) -> None:
        """Works until it is cancelled. What was asked for last comes first: it may have waited for a leader."""
        now = time.monotonic()
        latest = sorted(self._due, key=lambda key: self._asked.get(key, 0.0), reverse=True)
        self._due = {key: now + number * 1e-6 for number, key in enumerate(latest)}
        self._works = True
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._workers):
                    group.create_task(self._serve(fair=number == 0 < self._workers - 1))
        finally:
            self._works = False

    async def _serve(self, *, fair: bool) -> None:
        while True:
            key = await self._next(fair=fair)
            self._running[key] = time.monotonic()
            try:
                again = await self._work(key)
                self._failures.pop(key, None)
                if again < 0 and key not in self._due:
                    self._asked.pop(key, None)
            except asyncio.CancelledError:
                self.add(key)  # for when there is work again
                raise
            except Exception as error:
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                again = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** (failures - 1))
                log.warning("pass failed", namespace=key[0], platform=key[1], again=again, exc_info=error)
            finally:
                self._running.pop(key, None)
                self._changed.set()
            if again >= 0:
                self.add(key, again)

    async def _next(self, *, fair: bool) -> Key:
        while True:
            now = time.monotonic()
            ready = [(due, key) for key, due in self._due.items() if key not in self._running]
            if ready and min(ready)[0] <= now:
                urgent = [] if fair else [each for each in ready if each[0] <= now and each[1] in self._urgent]
                _, key = min(urgent or ready)
                del self._due[key]
                self._urgent.discard(key)
                return key
            self._changed.clear()
            wait = min(ready)[0] - now if ready else None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
