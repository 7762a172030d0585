"""A client's connection without its requests: accepted or turned away, reading held or released, writing, closing."""

import asyncio
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from chassis.connections import too_many
from chassis.errors import PlatformError
from chassis.proxies import unmapped
from uvicorn.server import ServerState

if TYPE_CHECKING:
    from api_gateway.gateway import Gateway

HIGH_WATER = 65536
LINGER_SECONDS = 2.0


class State(Enum):
    """HEAD: between or inside heads. BODY, ANSWER: an exchange runs. PAGE: uvicorn answers. LINGER: all is said."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    PAGE = auto()
    LINGER = auto()


# reading a member from its class costs more than a name, and requests read dozens
HEAD, BODY, ANSWER, PAGE, LINGER = State.HEAD, State.BODY, State.ANSWER, State.PAGE, State.LINGER


class Connection(asyncio.Protocol):
    """`close_after`: the answer under way is the last one. `deadline`: when `expire` is called, in the loop's time."""

    def __init__(self, gateway: "Gateway", server_state: ServerState) -> None:
        self.gateway = gateway
        self._hosted: set[Any] = server_state.connections
        self.transport: asyncio.Transport | None = None
        self.peer = ""
        self.minor = 1
        self.state = HEAD
        self.buffer = b""
        self.close_after = False
        self.client_full = False  # the client does not read
        self.deadline = float("inf")
        self.held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted, or turned away."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by birth
        peer = transport.get_extra_info("peername")
        self.peer = unmapped(str(peer[0])) if peer else ""
        self.transport.set_write_buffer_limits(HIGH_WATER)
        self._hosted.add(self)
        if self.gateway.enter(self):
            self.deadline = self.gateway.now() + self.gateway.bounds.header
        else:
            self.reject(too_many())

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was under way is cancelled."""
        self._hosted.discard(self)
        self.gateway.leave(self)
        self.transport = None
        self.ended(exc)

    def ended(self, exc: Exception | None) -> None:
        """The connection is lost."""
        raise NotImplementedError

    def reject(self, error: PlatformError) -> None:
        """Answer and close."""
        raise NotImplementedError

    def expire(self) -> None:
        """The deadline has passed."""
        raise NotImplementedError

    @property
    def idle_since(self) -> float | None:
        """When it became idle, as far as its deadline tells; None while something is under way on it."""
        return self.deadline if self.state is HEAD and not self.buffer and not self.client_full else None

    @property
    def closing(self) -> bool:
        """Whether the answer says `Connection: close`."""
        return self.close_after or self.gateway.drain.now

    def hold(self) -> None:
        """Stop reading."""
        if not self.held and self.transport is not None:
            self.held = True
            self.transport.pause_reading()

    def release(self) -> None:
        """Read on."""
        if self.held and self.transport is not None:
            self.held = False
            self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        """A part of the answer; the next one has `bounds.stall`."""
        self.deadline = self.gateway.now() + self.gateway.bounds.stall
        self.write_raw(data)

    def write_raw(self, data: bytes) -> None:
        """Bytes for the client, if it is still there."""
        if data and self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def await_head(self, now: float) -> None:
        """Wait for the next request."""
        bounds = self.gateway.bounds
        self.state = HEAD
        self.deadline = now + (bounds.header if self.buffer else bounds.idle)

    def linger(self) -> None:
        """Say no more, read and discard for a while: closing at once would reset the connection under our answer."""
        assert self.transport is not None
        self.state = LINGER
        self.buffer = b""
        self.deadline = self.gateway.now() + LINGER_SECONDS
        self.release()
        if not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        """Close when all is written, or after a while."""
        self.state = LINGER
        self.deadline = self.gateway.now() + LINGER_SECONDS
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Cut the connection: the answer cannot be completed."""
        if self.transport is not None:
            self.transport.abort()
