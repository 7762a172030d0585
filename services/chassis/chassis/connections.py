"""The connections of a server: how long each may be silent, and how many one client may have.

The gateway and every service count alike, so that a few addresses can take a server from nobody.
"""

import resource
from collections import Counter
from typing import Generic, Protocol, TypeVar
from weakref import WeakSet

from pydantic import Field
from pydantic_settings import BaseSettings

from chassis.errors import Refused
from chassis.proxies import Networks, bucket

CLOSED_AT_ONCE = 64
"""Idle connections that make room when the server is full: each look for them is at all connections."""


FILES_BESIDE = 512
"""Open files that a process needs besides its clients' connections: to databases, Kafka, Redis and services."""


def allow_files(connections: int) -> bool:
    """Raise the soft limit of open files to what so many connections need; whether the hard limit lets us.

    The usual soft limit of 1,024 is an eighth of MAX_CONNECTIONS: one address would take all that the process may open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + FILES_BESIDE
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed == wanted


class ConnectionSettings(BaseSettings):
    """What a server bears from its clients."""

    max_connections: int = Field(8192, ge=1, description="client connections at a time")
    max_connections_per_address: int | None = Field(
        None, ge=1, description="of them from one address or IPv6 /64, TRUSTED_PROXIES excepted; empty: an eighth"
    )
    header_timeout_seconds: float = Field(10.0, gt=0, description="for a request's head, from its first byte")
    body_timeout_seconds: float = Field(30.0, gt=0, description="for a request's body")
    idle_timeout_seconds: float = Field(75.0, gt=0, description="that a kept connection may be silent")
    stall_timeout_seconds: float = Field(30.0, gt=0, description="that an answer under way may make no progress")


class Counted(Protocol):
    """A connection that is counted."""

    peer: str

    @property
    def idle_since(self) -> float | None:
        """Since when nothing is under way on it; None while something is."""

    def close(self) -> None:
        """End it: the server is full."""


Connection = TypeVar("Connection", bound=Counted)

EVERY: "WeakSet[Connections[Counted]]" = WeakSet()
"""Those of this process, for its metrics."""


def too_many() -> Refused:
    """The answer to a connection that is one too many."""
    error = Refused(503, "there are too many connections")
    error.headers["Retry-After"] = "1"
    return error


class Connections(Generic[Connection]):
    """Who is connected; `most` at a time, `share` of them from one address or /64 that is no trusted proxy's."""

    def __init__(self, settings: ConnectionSettings, proxies: Networks) -> None:
        self.open: set[Connection] = set()
        self._most = settings.max_connections
        self._share = settings.max_connections_per_address or max(1, self._most // 8)
        self._proxies = proxies
        self._by_address: Counter[str] = Counter()
        EVERY.add(self)  # type: ignore[arg-type]  # nothing is added to it there

    def enter(self, connection: Connection) -> bool:
        """Count one in. False: it is one too many, and is counted until it leaves."""
        self.open.add(connection)
        address = bucket(connection.peer)
        self._by_address[address] += 1
        if self._by_address[address] > self._share and connection.peer not in self._proxies:
            return False
        if len(self.open) > self._most:
            self._make_room(connection)
        return len(self.open) <= self._most

    def leave(self, connection: Connection) -> None:
        """Count it out; once more does nothing."""
        if connection not in self.open:
            return
        self.open.discard(connection)
        address = bucket(connection.peer)
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]

    def _make_room(self, newcomer: Connection) -> None:
        """Close those that have been idle for the longest."""
        idle = [(since, each) for each in self.open if each is not newcomer and (since := each.idle_since) is not None]
        for _, each in sorted(idle, key=lambda pair: pair[0])[: max(1, min(CLOSED_AT_ONCE, self._most // 8))]:
            self.leave(each)
            each.close()
