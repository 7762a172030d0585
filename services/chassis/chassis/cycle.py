"""uvicorn's request-response cycle with a short way for an answer that is whole.

ASGI sends an answer in two messages or more, and uvicorn looks at each header of each by two regular expressions. Most
of our answers are whole when they leave: one message, one look, one write. Everything else goes uvicorn's way.
"""

from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

WHOLE = "chassis.response"
"""The message `{"type", "status", "headers", "body", "close"}`: a whole answer, whose headers say its length where it
has one; `close`: the connection ends with it. To be sent only where `scope["extensions"]` names it."""

EXTENSIONS: dict[str, dict[object, object]] = {WHOLE: {}}


class Cycle(RequestResponseCycle):
    """One request and its answer."""

    async def send(self, message: Any) -> None:
        """Takes ASGI's messages, and WHOLE."""
        if message["type"] != WHOLE:
            await super().send(message)
        elif self.flow.write_paused or self.response_started or self.disconnected:
            await self._in_turn(message)
        else:
            self._write(message)

    async def _in_turn(self, message: Any) -> None:
        """Waits for a client that does not read."""
        ending = [(b"connection", b"close")] if message["close"] else []
        headers = [*message["headers"], *ending]
        await super().send({"type": "http.response.start", "status": message["status"], "headers": headers})
        await super().send({"type": "http.response.body", "body": message["body"], "more_body": False})

    def _write(self, message: Any) -> None:
        self.keep_alive = self.keep_alive and not message["close"]
        head = _head(message["status"], [*self.default_headers, *message["headers"]], self.keep_alive)
        self.response_started = self.response_complete = True
        self.transport.write(head + message["body"])
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _head(status: int, headers: Sequence[tuple[bytes, bytes]], keep_alive: bool) -> bytes:
    fields = b"\r\n".join(map(b": ".join, headers))
    ends = len(headers) - 1
    # No line end came with a name or a value, and no NUL; other control characters hurt nobody (RFC 9110, section 5.5).
    if fields.count(b"\n") != ends or fields.count(b"\r") != ends or b"\0" in fields:
        raise RuntimeError("a response header holds a line end")
    return STATUS_LINE[status] + fields + (b"\r\n\r\n" if keep_alive else b"\r\nconnection: close\r\n\r\n")
