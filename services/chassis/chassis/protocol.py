"""uvicorn's HTTP protocol with a limit on a request's head, of which the parser alone would take in any length."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from chassis.errors import PlatformError
from chassis.http import problem_response

LARGEST_HEAD = 16_384 + 2_048
"""Bytes of the request line and the fields: what the gateway lets in, and what it adds itself."""


class _TooLarge(Exception):
    """Stops the parser."""


class LimitedProtocol(HttpToolsProtocol):
    """Answers 431 to a head that is too large, and 400 to what is no HTTP, as problems; both close the connection.

    A head is measured when it is complete. One that is not yet counts by what has arrived, so that no more of it is
    kept than the limit and one read of the socket.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._arrived = 0
        self._in_head = False

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

    def on_headers_complete(self) -> None:
        """A head is complete."""
        if self._arrived > LARGEST_HEAD and self._size() > LARGEST_HEAD:
            raise _TooLarge
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes in the same read belongs to the next head, and is not counted: how much it is, nobody says."""
        self._arrived = 0
        super().on_message_complete()

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
