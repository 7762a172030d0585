"""Where a body ends: by its length, by its last chunk, or with the connection.

Chunks are read strictly (RFC 9112 section 7.1); extensions are ignored, and trailers are checked and dropped, both up
to a limit. Framing is always written anew, so that what one side understood is what the other side is told.
"""

import re
from typing import Protocol

from chassis.wire.grammar import FIELD_LINE

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_EXTENSIONS = rb"(?:[ \t]*+;[ \t]*+" + _TOKEN + rb"(?:[ \t]*+=[ \t]*+(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)*+"
_SIZE = re.compile(rb"(0*[0-9A-Fa-f]{1,8})" + _EXTENSIONS)
_UNFINISHED_SIZE = re.compile(rb"(?:0*+[0-9A-Fa-f]{0,8})(?:[ \t;][\t\x20-\x7e\x80-\xff]*+)?")
_TRAILERS = re.compile(FIELD_LINE + rb"{0,16}+\r\n")
_MAX_SIZE_LINE = 256
_MAX_EXTRA = 8192  # bytes of a body's extensions and leading zeros in all: one-byte chunks must not multiply its size
_MAX_PLAIN_SIZE = 8
_MAX_TRAILERS = 4096


class BadChunk(Exception):
    """The chunked coding is broken."""


class Body(Protocol):
    """`feed` takes what arrived and answers (payload, what follows the body); `done` is true at its end."""

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes in."""


class Length:
    """A body of a known number of bytes."""

    __slots__ = ("done", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Split at the end of the body."""
        size = len(data)
        if size <= self.left:
            self.left -= size
            self.done = self.left == 0
            return data, b""
        payload, rest = data[: self.left], data[self.left :]
        self.left = 0
        self.done = True
        return payload, rest


class UntilClose:
    """A response's body that ends with its connection."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """All of it."""
        return data, b""


class Chunked:
    """A chunked body; `feed` raises BadChunk."""

    __slots__ = ("_expected", "_extra", "_kept", "done")

    def __init__(self) -> None:
        self._kept = b""
        self._expected = 0  # bytes of the present chunk and its CRLF; 0: a size line; -1: trailers
        self._extra = 0
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Decode as far as the data go; an unfinished line is kept for the next call."""
        data = self._kept + data if self._kept else data
        self._kept = b""
        payload: list[bytes] = []
        at = 0
        while at < len(data) and not self.done:
            if self._expected > 0:
                at = self._chunk(data, at, payload)
            elif (end := self._line(data, at)) < 0:
                self._kept, at = data[at:], len(data)
            else:
                at = end
        return b"".join(payload), data[at:]

    def _chunk(self, data: bytes, at: int, payload: list[bytes]) -> int:
        if self._expected > 2:
            piece = data[at : at + self._expected - 2]
            payload.append(piece)
            self._expected -= len(piece)
            return at + len(piece)
        if data[at : at + 1] != (b"\r" if self._expected == 2 else b"\n"):
            raise BadChunk
        self._expected -= 1
        return at + 1

    def _line(self, data: bytes, at: int) -> int:
        """The end of a size line or of the trailers, -1 when it is not here yet."""
        if self._expected < 0:
            return self._trailers(data, at)
        end = data.find(b"\r\n", at, at + _MAX_SIZE_LINE)
        if end < 0:
            if len(data) - at >= _MAX_SIZE_LINE or _UNFINISHED_SIZE.fullmatch(data[at:].removesuffix(b"\r")) is None:
                raise BadChunk
            return -1
        matched = _SIZE.fullmatch(data, at, end)
        if matched is None:
            raise BadChunk
        size = int(matched[1], 16)
        if end - at > _MAX_PLAIN_SIZE:
            self._extra += end - at
            if self._extra > _MAX_EXTRA:
                raise BadChunk
        self._expected = size + 2 if size else -1
        return end + 2

    def _trailers(self, data: bytes, at: int) -> int:
        ended = data.startswith(b"\r\n", at)
        end = at + 2 if ended else data.find(b"\r\n\r\n", at) + 4
        if end == 3:
            if len(data) - at > _MAX_TRAILERS or re.search(rb"(?<!\r)\n|\x00", data[at:]):
                raise BadChunk
            return -1
        if end - at > _MAX_TRAILERS or _TRAILERS.fullmatch(data, at, end) is None:
            raise BadChunk
        self.done = True
        return end


def chunk(payload: bytes) -> bytes:
    """One chunk of the coding."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


LAST_CHUNK = b"0\r\n\r\n"
