"""What stands between us and a neighbour in trouble: breaker, retry, bulkhead, deadline."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

import stamina
import stamina.instrumentation
from prometheus_client import Counter, Gauge

from chassis.breaker import Breaker, Rejected, State
from chassis.errors import Busy, Unavailable

__all__ = ["Breaker", "Bulkhead", "Rejected", "Retry", "State", "deadline"]

IN_USE = Gauge("bulkhead_in_use", "Calls inside the bulkhead", ["name"])
REJECTED = Counter("bulkhead_rejected_total", "Calls turned away because the bulkhead was full", ["name"])
RETRIED = Counter("retries_total", "Tries after a failure", ["name"])

Answer = TypeVar("Answer")


class Bulkhead:
    """At most `limit` calls at a time inside `async with`; the next one is Rejected at once, it never queues."""

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self._limit = limit
        self._inside = 0

    async def __aenter__(self) -> Self:
        if self._inside >= self._limit:
            REJECTED.labels(self.name).inc()
            raise Rejected(self.name, retry_after=1)
        self._inside += 1
        IN_USE.labels(self.name).set(self._inside)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside -= 1
        IN_USE.labels(self.name).set(self._inside)


class Retry:
    """`await retry(call)`: up to `attempts` tries, `wait` seconds apart and a little more by chance.

    Tries again on Unavailable unless `on` says otherwise, never on Busy.
    """

    def __init__(
        self,
        name: str = "call",
        *,
        attempts: int = 3,
        wait: float = 0.5,
        on: Callable[[Exception], bool] = lambda error: isinstance(error, Unavailable),
    ) -> None:
        self._name = name
        self._on = on
        self._caller = stamina.AsyncRetryingCaller(
            attempts=attempts,
            timeout=None,
            wait_initial=wait,
            wait_max=wait * 1.1,
            wait_exp_base=1,
            wait_jitter=wait / 10,
        )

    async def __call__(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """The call's answer; raises what the last try raised."""
        tries = 0

        async def once() -> Answer:
            nonlocal tries
            tries += 1
            if tries > 1:
                RETRIED.labels(self._name).inc()
            return await call()

        return await self._caller(lambda error: self._on(error) and not isinstance(error, Busy), once)


@asynccontextmanager
async def deadline(what: str, seconds: float) -> AsyncIterator[None]:
    """Bound the block; Unavailable(what) when it takes longer. A TimeoutError from inside passes as it is."""
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            yield
    except TimeoutError:
        if timer.expired():
            raise Unavailable(what) from None
        raise


# stamina's default hooks log the arguments and the exception's text of every retry, which may hold a person's data.
stamina.instrumentation.set_on_retry_hooks([])
