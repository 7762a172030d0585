"""One deadline of a connection that is set anew with every request: a timer each time would cost more than the rest."""

import asyncio
from collections.abc import Callable

NEVER = float("inf")


class Deadline:
    """Calls `expired` once the last time that was set has passed; `at` is that time, on the loop's clock (s)."""

    __slots__ = ("_armed", "_expired", "_loop", "_timer", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self.at = NEVER
        self._loop = loop
        self._expired = expired
        self._timer: asyncio.TimerHandle | None = None
        self._armed = NEVER

    def within(self, seconds: float) -> None:
        """Expire in so many seconds, and no more when it would have."""
        self.at = self._loop.time() + seconds
        if self._timer is None or self.at < self._armed:  # a timer that comes too early looks again
            self.cancel()
            self._arm()

    def cancel(self) -> None:
        """Never expire."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._armed = self.at
        self._timer = self._loop.call_at(self.at, self._look)

    def _look(self) -> None:
        self._timer = None
        if self.at <= self._loop.time():
            self._expired()
        elif self.at != NEVER:
            self._arm()
