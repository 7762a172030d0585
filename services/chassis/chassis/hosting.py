"""A client's connection as uvicorn hosts it, without what its requests say: accepted, timed, refused, closed."""

import asyncio
from enum import Enum, auto
from typing import Any, cast

from uvicorn import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.utils import get_local_addr, is_ssl
from uvicorn.server import ServerState

from chassis.connections import Connections, ConnectionSettings, too_many
from chassis.cycle import Cycle
from chassis.deadline import NEVER, Deadline
from chassis.errors import PlatformError, Refused
from chassis.http import problem_response
from chassis.proxies import unmapped


class State(Enum):
    """HEAD: between or inside heads. BODY: a request's body arrives. ANSWER: the application has all of it."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()


HEAD, BODY, ANSWER = State.HEAD, State.BODY, State.ANSWER


class Hosted(asyncio.Protocol):
    """The connection; each thing that the client owes has its deadline.

    What is too slow or too much is answered by a problem, and the connection ends.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        settings: ConnectionSettings,
        connections: "Connections[Hosted]",
    ) -> None:
        if not config.loaded:
            config.load()
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.loop = _loop or asyncio.get_running_loop()
        self.settings = settings
        self._connections = connections
        self.state = HEAD
        self.buffer = b""
        self.cycle: Cycle | None = None
        self.deadline = Deadline(self.loop, self._expire)
        self.peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted, or turned away."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by birth
        self.flow = FlowControl(self.transport)
        peer = transport.get_extra_info("peername")
        client = (unmapped(str(peer[0])), int(peer[1])) if isinstance(peer, tuple) else None
        self.peer = client[0] if client else ""
        self.constant = {
            "type": "http",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.3"},
            "server": get_local_addr(self.transport),
            "client": client,
            "scheme": "https" if is_ssl(self.transport) else "http",
            "root_path": "",
        }
        self.server_state.connections.add(cast(Any, self))
        if self._connections.enter(self):
            self.deadline.within(self.settings.header_timeout_seconds)
        else:
            self.refuse(too_many())

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self.server_state.connections.discard(cast(Any, self))
        self._connections.leave(self)
        self.deadline.cancel()
        self._disconnect()
        self.flow.resume_writing()

    def shutdown(self) -> None:
        """uvicorn is ending: an idle connection closes, another after its answer."""
        if self.cycle is None or self.cycle.response_complete:
            self.close()
        else:
            self.cycle.keep_alive = False

    @property
    def idle_since(self) -> float | None:
        """When it became idle, as far as its deadline tells; None while a request or its answer is under way."""
        return self.deadline.at if self.state is HEAD and not self.buffer else None

    def close(self) -> None:
        """Close when all is written, or after a while."""
        self.deadline.within(self.settings.stall_timeout_seconds)
        self.transport.close()

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self.flow.pause_writing()
        self.deadline.within(self.settings.stall_timeout_seconds)

    def resume_writing(self) -> None:
        """It goes on."""
        self.flow.resume_writing()
        self.await_next()

    def refuse(self, error: PlatformError) -> None:
        """Answer what was no request; an application that is at work on it learns that the client is gone."""
        started = self.cycle is not None and self.state is BODY and self.cycle.response_started
        self._disconnect()
        self.buffer = b""
        if started:  # the answer under way is another one
            self.transport.abort()
            return
        answer = problem_response(error, "")
        lines = [f"HTTP/1.1 {error.status} {error.title}".encode(), b"connection: close"]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.close()

    def _disconnect(self) -> None:
        if self.cycle is not None:
            self.cycle.disconnected = self.cycle.disconnected or not self.cycle.response_complete
            self.cycle.message_event.set()

    def await_next(self) -> None:
        """The deadline of what comes next."""
        settings = self.settings
        if self.flow.write_paused:
            self.deadline.within(settings.stall_timeout_seconds)
        elif self.state is ANSWER:
            self.deadline.at = NEVER  # the application's own work has others
        elif self.state is BODY:
            self.deadline.within(settings.body_timeout_seconds)
        else:
            self.deadline.within(settings.header_timeout_seconds if self.buffer else settings.idle_timeout_seconds)

    def _expire(self) -> None:
        if self.flow.write_paused or self.transport.is_closing():
            self.transport.abort()
        elif self.state is HEAD and not self.buffer:
            self.close()
        else:
            self.refuse(Refused(408, "the request did not arrive in time"))
