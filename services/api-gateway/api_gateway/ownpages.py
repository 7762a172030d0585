"""uvicorn's own protocol as a guest on a client's connection, for the pages that FastAPI answers."""

import asyncio
from typing import Any, Protocol

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState


class Host(Protocol):
    """Whose connection it is."""

    def page_over(self) -> None:
        """The answer is complete and the connection stays open."""


class OwnPage(HttpToolsProtocol):
    """Answers one request at a time; deadlines, keep-alive, shutdown and what every answer carries are the host's."""

    def __init__(
        self,
        host: Host,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._host = host
        self._lines: list[tuple[bytes, bytes]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Sit on the host's connection."""
        super().connection_made(transport)
        self.connections.discard(self)

    def ask(self, request: bytes, lines: bytes) -> None:
        """Take a whole request; its answer, also one to a failure, carries these header lines."""
        pairs = (line.partition(b": ") for line in lines.split(b"\r\n") if line)
        self._lines = [(name, value) for name, _, value in pairs]
        self.data_received(request)

    def on_headers_complete(self) -> None:
        """Let the application's task begin with our lines."""
        super().on_headers_complete()
        self.cycle.default_headers = [*self.cycle.default_headers, *self._lines]

    def on_response_complete(self) -> None:
        """Hand the connection back."""
        self.server_state.total_requests += 1
        self._host.page_over()
