"""Waiting for the world: no wait exceeds 3 s, and the first part that works again wakes all others.

An outage usually ends for every part of a process at once. Without this each part would sit out its own back-off.
"""

import asyncio
import random
import time
from collections.abc import Callable, Hashable

LONGEST_SECONDS = 3.0
"""No wait for a server that is away exceeds this."""

WAKES_APART_SECONDS = 0.25
"""A part that fails and works in turns must not turn the waits of the others into a busy loop."""


def delay(failures: int, first: float = 0.1, longest: float = LONGEST_SECONDS) -> float:
    """Seconds to wait after so many failures in a row (from 1): doubling, shortened by up to half by chance."""
    full = min(longest, first * 2.0 ** min(failures - 1, 30))
    return full * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, guards nothing)


class Wait:
    """One callback that is due in a while, or as soon as a part recovers."""

    def __init__(self, recovery: "Recovery", seconds: float, callback: Callable[[], None]) -> None:
        self._recovery = recovery
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(seconds, self.run)

    def cancel(self) -> None:
        """The callback is not called any more."""
        self._timer.cancel()
        self._recovery.waits.discard(self)

    def run(self) -> None:
        """Call it now."""
        self.cancel()
        if not self._loop.is_closed():  # of an application that has ended in this process
            self._callback()


class Recovery:
    """Which parts of a process fail because of the world, and who waits for it."""

    def __init__(self) -> None:
        self._failing: set[Hashable] = set()
        self._woken = -float("inf")
        self.waits: set[Wait] = set()

    def failed(self, part: Hashable) -> None:
        """The world failed this part."""
        self._failing.add(part)

    def forget(self, part: Hashable) -> None:
        """This part is gone."""
        self._failing.discard(part)

    def succeeded(self, part: Hashable) -> None:
        """This part works; all waits end if it had failed before. Cheap when nothing fails."""
        if part in self._failing:
            self._failing.discard(part)
            now = time.monotonic()
            if now - self._woken >= WAKES_APART_SECONDS:
                self._woken = now
                for wait in list(self.waits):
                    wait.run()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Wait:
        """Call back after so many seconds, or when a part recovers."""
        wait = Wait(self, seconds, callback)
        self.waits.add(wait)
        return wait

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds, or when a part recovers."""
        awake = asyncio.Event()
        wait = self.call_later(seconds, awake.set)
        try:
            await awake.wait()
        finally:
            wait.cancel()


recovery = Recovery()
"""The one of this process."""
