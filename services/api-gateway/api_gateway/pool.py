"""One service behind the gateway: its kept connections, its breaker and its bulkhead."""

import asyncio
import random
from collections.abc import Callable
from weakref import WeakSet

from chassis.breaker import Breaker, Rejected

from api_gateway.upstream import UpstreamConnection

IDLE_SECONDS = 30.0  # well under the services' 75 s, so that a kept connection is seldom closed under a request
LIFE_SECONDS = 60.0

POOLS: "WeakSet[Pool]" = WeakSet()

Connected = Callable[[UpstreamConnection | None], None]


class Pool:
    """Last in, first out: few connections stay warm, the rest age away.

    Each lives 45 to 60 s, so that new replicas are found.
    """

    def __init__(self, name: str, url: str, *, concurrency: int, connect_seconds: float) -> None:
        self.name = name
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.host, self.port = (host.strip("[]"), int(port)) if host and port.isdigit() else (port, 80)
        self.authority = url.removeprefix("http://").encode()
        self.breaker = Breaker(name)
        self.in_flight = 0
        self.connections = 0
        self.rejected = 0
        self.failures = 0
        self.retries = 0
        self.idle: list[UpstreamConnection] = []
        self._concurrency = concurrency
        self._connect_seconds = connect_seconds
        self._connecting: set[asyncio.Task[None]] = set()
        POOLS.add(self)

    def admit(self) -> int:
        """Let a request in: the breaker's ticket for `settle`. Raises Rejected."""
        if self.in_flight >= self._concurrency:
            self.rejected += 1
            raise Rejected(self.name, retry_after=1)
        ticket = self.breaker.admit()
        self.in_flight += 1
        return ticket

    def settle(self, ticket: int, error: BaseException | None) -> None:
        """The request is over; `error` when the service is to blame, CancelledError when nobody can tell."""
        self.in_flight -= 1
        self.failures += isinstance(error, Exception)
        self.breaker.settle(ticket, error)

    def take(self, now: float) -> UpstreamConnection | None:
        """A connection that is still open, the one used last; `now` in the loop's time."""
        while self.idle:
            connection = self.idle.pop()
            if now < connection.expires and connection.usable:
                return connection
            connection.abandon()
        return None

    def connect(self, then: Connected) -> None:
        """Open a new connection; `then` gets None when the service cannot be reached in time."""
        task = asyncio.get_running_loop().create_task(self._connect(then))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, then: Connected) -> None:
        loop = asyncio.get_running_loop()
        connection = UpstreamConnection(self)
        try:
            async with asyncio.timeout(self._connect_seconds):
                await loop.create_connection(lambda: connection, self.host, self.port)
        except (OSError, TimeoutError):
            then(None)
            return
        self.connections += 1
        connection.expires = loop.time() + LIFE_SECONDS * random.uniform(0.75, 1)  # noqa: S311 - jitter
        then(connection)

    def idle_again(self, connection: UpstreamConnection) -> None:
        """Keep it for the next request."""
        connection.rested = False
        self.idle.append(connection)

    def gone(self, connection: UpstreamConnection) -> None:
        """Forget it."""
        self.connections -= 1
        if connection in self.idle:
            self.idle.remove(connection)

    def sweep(self, now: float) -> None:
        """Close what has been idle, or has lived, for too long."""
        for connection in self.idle:
            if not connection.rested:  # the watch sees it idle for the first time
                connection.rested, connection.idle_since = True, now
        old = [each for each in self.idle if now - each.idle_since > IDLE_SECONDS or now > each.expires]
        for connection in old:
            self.idle.remove(connection)
            connection.abandon()

    def close(self) -> None:
        """Close all that is idle and give up connecting."""
        for task in self._connecting:
            task.cancel()
        idle, self.idle = self.idle, []
        for connection in idle:
            connection.abandon()
