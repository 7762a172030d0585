"""The circuit breaker: a neighbour that keeps failing is left alone for a while.

It is our own. purgatory opens after N failures in a row and lets any number of calls through once half open; what is
promised is a failure rate over a window of calls and a limit on the trial calls, which it cannot express.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from enum import StrEnum
from types import TracebackType
from typing import Self

from prometheus_client import REGISTRY, Counter, Gauge
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from chassis import logs
from chassis.errors import Busy, TooManyRequests

log = logs.logger(__name__)

STATE = Gauge("circuit_breaker_state", "1 for the state that the breaker is in", ["name", "state"])
TRANSITIONS = Counter("circuit_breaker_transitions_total", "Changes of state", ["name", "to"])


class Outcomes:
    """How the calls through the breakers of one name ended; plain integers, for the client library's cost more to raise
    than all else that a breaker does.
    """

    __slots__ = ("failure", "rejected", "success")

    def __init__(self) -> None:
        self.success = self.failure = self.rejected = 0


class _Calls(Collector):
    """The outcomes by name, handed to Prometheus when they are read."""

    def __init__(self) -> None:
        self._by_name: dict[str, Outcomes] = {}

    def of(self, name: str) -> Outcomes:
        return self._by_name.setdefault(name, Outcomes())

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("circuit_breaker_calls", "Calls by outcome", labels=["name", "result"])
        for name, outcomes in list(self._by_name.items()):
            for result in Outcomes.__slots__:
                family.add_metric([name, result], getattr(outcomes, result))
        yield family


_CALLS = _Calls()
REGISTRY.register(_CALLS)

_made: "list[Breaker]" = []


def newly_made() -> "list[Breaker]":
    """The breakers made since the last call, which an application that was just composed takes for its own."""
    found = list(_made)
    _made.clear()
    return found


class Rejected(Busy):
    """Not even tried: the breaker is open or the bulkhead full. Retrying at once is pointless."""


class State(StrEnum):
    """`HALF_OPEN` lets a few trial calls through; their failure rate decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


# a member costs more to read from its class than a name does, and every call reads several
_CLOSED, _OPEN, _HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN


class Breaker:
    """`async with breaker:` around a call; Rejected while open.

    Opens when, of the last `window` calls and with at least `minimum_calls` of them seen, the share of failures
    reaches `failure_rate`. After `open_seconds`, `half_open_calls` trial calls decide by the same rate.
    `counts` says which exceptions are the neighbour's fault. A cancelled call and a deliberate refusal (Busy) count
    neither way: a neighbour that refuses on purpose is well, and has done no work that would prove it.
    """

    def __init__(
        self,
        name: str,
        *,
        window: int = 10,
        minimum_calls: int = 5,
        failure_rate: float = 0.5,
        open_seconds: float = 10.0,
        half_open_calls: int = 3,
        counts: Callable[[BaseException], bool] = lambda error: isinstance(error, Exception),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._minimum_calls = minimum_calls
        self._failure_rate = failure_rate
        self._open_seconds = open_seconds
        self._half_open_calls = half_open_calls
        self._counts = counts
        self._clock = clock
        self._outcomes: deque[bool] = deque(maxlen=window)
        self._trials = 0
        self._era = 0
        self._until = 0.0
        self._ticket: ContextVar[int] = ContextVar(f"{name} breaker")
        self._calls = _CALLS.of(name)
        self._state = State.CLOSED
        _made.append(self)
        self._publish()

    @property
    def state(self) -> State:
        """The state; an open breaker turns half open with the first call after its time."""
        return self._state

    @property
    def rejecting(self) -> bool:
        """Whether a call would not even be tried, for callers that have another way and many calls to make."""
        return self._state is _OPEN and self._clock() < self._until

    async def __aenter__(self) -> Self:
        self._ticket.set(self.admit())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.settle(self._ticket.get(), error)

    def admit(self) -> int:
        """Let a call in and answer its ticket for `settle`; raises Rejected."""
        if self._state is _OPEN and self._clock() >= self._until:
            self._enter(_HALF_OPEN)
        trying = self._state is _HALF_OPEN
        if self._state is _OPEN or (trying and self._trials >= self._half_open_calls):
            self._calls.rejected += 1
            raise Rejected(self.name, retry_after=max(1, round(self._until - self._clock())))
        self._trials += trying
        return self._era

    def settle(self, ticket: int, error: BaseException | None) -> None:
        """The admitted call ended, with or without an error."""
        refused = isinstance(error, Busy | TooManyRequests)
        failed = error is not None and not refused and self._counts(error)
        if failed:
            self._calls.failure += 1
        elif error is None or (isinstance(error, Exception) and not refused):
            self._calls.success += 1
        elif ticket == self._era:
            self._trials -= self._state is _HALF_OPEN  # a cancelled trial may be had again
            return
        if ticket != self._era:
            return  # it began under another state, whose verdict has been given
        self._outcomes.append(failed)
        if self._state is not _CLOSED or True in self._outcomes:
            self._judge()

    def _judge(self) -> None:
        seen = len(self._outcomes)
        enough = self._half_open_calls if self._state is _HALF_OPEN else self._minimum_calls
        if seen < enough:
            return
        if sum(self._outcomes) / seen >= self._failure_rate:
            self._enter(_OPEN)
        elif self._state is _HALF_OPEN:
            self._enter(_CLOSED)

    def _enter(self, state: State) -> None:
        self._state = state
        self._era += 1
        self._trials = 0
        self._outcomes.clear()
        if state is State.OPEN:
            self._until = self._clock() + self._open_seconds
        TRANSITIONS.labels(self.name, state).inc()
        self._publish()
        log.warning("breaker changed state", breaker=self.name, state=state.value)

    def _publish(self) -> None:
        for state in State:
            STATE.labels(self.name, state).set(state is self._state)
