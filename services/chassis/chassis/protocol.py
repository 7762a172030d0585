"""uvicorn's HTTP protocol with a limit on a request's head, of which the parser alone would take in any length.

It also spends less on each request: answers that are whole leave in one write (`chassis.cycle`), and a connection has
one timer for as long as it lives.
"""

import asyncio
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from chassis.cycle import EXTENSIONS, Cycle
from chassis.errors import PlatformError
from chassis.http import problem_response

LARGEST_HEAD = 16_384 + 2_048
"""Bytes of the request line and the fields: what the gateway lets in, and what it adds itself."""


class _TooLarge(Exception):
    """Stops the parser."""


class LimitedProtocol(HttpToolsProtocol):
    """Answers 431 to a head that is too large, and 400 to what is no HTTP, as problems; both close the connection.

    A head is measured when it is complete. One that is not yet counts by what has arrived, so that no more of it is
    kept than the limit and one read of the socket. It knows no WebSocket, no root path and no limit of connections.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._arrived = 0
        self._in_head = False
        self._idle_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Some bytes of the connection."""
        self._arrived += len(data)
        super().data_received(data)
        if not self._in_head:
            self._arrived = 0
        elif self._arrived > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse(_too_large())

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()
        self.scope["extensions"] = EXTENSIONS

    def on_headers_complete(self) -> None:
        """A head is complete: the request begins, unless one before it is not yet answered."""
        if self._arrived > LARGEST_HEAD and self._size() > LARGEST_HEAD:
            raise _TooLarge
        self._in_head = False
        before, self.cycle = self.cycle, self._next_cycle()
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _next_cycle(self) -> Cycle:
        version, url = self.parser.get_http_version(), httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope |= {
            "http_version": version,
            "method": self.parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
        }
        return Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )

    def _should_upgrade(self) -> bool:
        return False

    def on_message_complete(self) -> None:
        """What comes in the same read belongs to the next head, and is not counted: how much it is, nobody says."""
        self._arrived = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next request of a pipeline begins, or the connection is idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self._timer is None:
            self._timer = self.loop.call_later(self.timeout_keep_alive, self._close_when_idle)

    def _close_when_idle(self) -> None:
        """A timer of its own for each pause would be made and cancelled with every request."""
        self._timer = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._close_when_idle)
        else:
            self.timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when the parser gave up."""
        if self._in_head and self._size() > LARGEST_HEAD:
            self._refuse(_too_large())
        else:
            self._refuse(PlatformError(400, "bad-request", "Bad Request", "the request is not well-formed HTTP"))

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse(self, error: PlatformError) -> None:
        answer = problem_response(error, "")
        lines = [f"HTTP/1.1 {error.status} {error.title}".encode(), b"connection: close"]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()


def _too_large() -> PlatformError:
    title = "Request Header Fields Too Large"
    return PlatformError(431, "request-header-fields-too-large", title, "the header fields are too large")
