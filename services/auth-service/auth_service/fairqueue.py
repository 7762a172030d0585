"""The queue before bcrypt: short, fair by account and by address, and never longer than a client waits.

A hash costs a quarter of a second of a processor, so a burst of logins is a queue. It is as long as what can be hashed
within PATIENCE_SECONDS; whoever is too many is refused at once (SETTLE_SECONDS), the worst by `Throttle.rank` first.
Among equals the newest goes first: under a flood the oldest has the least of its time left (Maurer, "Fail at Scale",
ACM Queue 13(8), 2015). Those who failed lately go last and one at a time, so that a thread is free for the others.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

from chassis.errors import Busy

from auth_service.throttle import Caller, Throttle

PATIENCE_SECONDS = 2.0
LONGEST = 256
SETTLE_SECONDS = 0.25
"""From the first arrival that is too many until the worst are refused: a burst shows by then who sends how much."""


class _Waiter:
    __slots__ = ("began", "caller", "number", "suspect", "turn")

    def __init__(self, caller: Caller, number: int, turn: "asyncio.Future[None]") -> None:
        self.caller = caller
        self.number = number
        self.turn = turn
        self.began = 0.0
        self.suspect = False  # says, once its turn has come, whether it went as one who failed lately


class FairQueue:
    """Gives turns on `threads` threads; `cost` answers how many seconds a hash takes at present."""

    def __init__(self, threads: int, cost: Callable[[], float], throttle: Throttle) -> None:
        self._threads = threads
        self._cost = cost
        self._throttle = throttle
        self._numbers = count()
        self._waiting: list[_Waiter] = []
        self._running: set[_Waiter] = set()
        self._shedding: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, caller: Caller) -> AsyncIterator[None]:
        """Enter when a thread is free and it is this caller's turn; it ends with the block.

        Raises:
            Busy: it cannot come within PATIENCE_SECONDS.
            TooManyRequests: the account pauses.
        """
        self._throttle.check(caller)
        self._throttle.began(caller)
        loop = asyncio.get_running_loop()
        waiter = _Waiter(caller, next(self._numbers), loop.create_future())
        timer = loop.call_later(PATIENCE_SECONDS, self._refuse, waiter)
        self._waiting.append(waiter)
        self._schedule()
        try:
            await waiter.turn
            timer.cancel()
            yield
        finally:
            timer.cancel()
            self._leave(waiter)

    def _schedule(self) -> None:
        while self._waiting and len(self._running) < self._threads:
            first = min(self._waiting, key=self._rank)
            first.suspect = self._is_suspect(first)
            if first.suspect and any(each.suspect for each in self._running):
                break
            self._waiting.remove(first)
            if not first.turn.done():
                first.began = asyncio.get_running_loop().time()
                self._running.add(first)
                first.turn.set_result(None)
        while len(self._waiting) > LONGEST:
            self._refuse(max(self._waiting, key=self._rank))
        if self._waiting and self._shedding is None:
            self._shedding = asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._shed)

    def _shed(self) -> None:
        """Refuse those who cannot have their turn in time."""
        self._shedding = None
        cost, now = self._cost(), asyncio.get_running_loop().time()
        free = sorted(max(0.0, each.began + cost - now) for each in self._running)
        free = [0.0] * (self._threads - len(free)) + free
        suspects = 0
        for place, each in enumerate(sorted(self._waiting, key=self._rank)):
            start = free.pop(0)
            free = sorted([*free, start + cost])
            suspect = self._is_suspect(each)
            suspects += suspect
            late = max(start, (suspects - 1) * cost if suspect else 0.0) + cost > PATIENCE_SECONDS
            if late and place:  # whoever is first may hope: the estimate is none
                self._refuse(each)

    def _refuse(self, waiter: _Waiter) -> None:
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        if not waiter.turn.done():
            ahead = (len(self._waiting) + len(self._running)) * self._cost() / self._threads
            waiter.turn.set_exception(Busy("password hashing", retry_after=1 + ahead))

    def _leave(self, waiter: _Waiter) -> None:
        self._running.discard(waiter)
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        self._schedule()

    def _is_suspect(self, waiter: _Waiter) -> bool:
        return self._throttle.rank(waiter.caller)[0]

    def _rank(self, waiter: _Waiter) -> tuple[bool, int, int]:
        suspect, tried = self._throttle.rank(waiter.caller)
        return suspect, round(tried), -waiter.number
