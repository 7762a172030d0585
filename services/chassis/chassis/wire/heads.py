"""Finds the next request head in what a client has sent."""

from collections.abc import Callable
from typing import Generic, TypeVar

from chassis.errors import Refused
from chassis.wire.framing import Framing
from chassis.wire.grammar import Head, Limits, check_unfinished, parse_line

Fields = TypeVar("Fields", bound=Framing)


class Heads(Generic[Fields]):
    """One per connection. A client repeats its header fields: a block equal to the last one is not read again.

    `parse` reads a block of whole lines, which it has to check, for a minor version of HTTP.
    """

    __slots__ = ("_block", "_fields", "_limits", "_minor", "_parse", "checked", "empty_line")

    def __init__(self, parse: Callable[[bytes, int], Fields], limits: Limits) -> None:
        self.checked = 0  # bytes of an unfinished head that have been looked at
        self._parse = parse
        self._limits = limits
        self.empty_line = False  # whether one before this head has been ignored
        self._block = b""
        self._minor = -1
        self._fields: Fields | None = None

    def without_empty_line(self, buffer: bytes) -> bytes:
        """The buffer behind an empty line: one before each request is ignored (RFC 9112, section 2.2)."""
        if self.empty_line or not buffer.startswith(b"\r\n"):
            return buffer
        self.empty_line = True
        self.checked = 0
        return buffer[2:]

    def next(self, buffer: bytes) -> tuple[Head, Fields, int] | None:
        """The head at the start of the buffer and where it ends; None when it is unfinished. Raises Refused."""
        checked = self.checked
        end = buffer.find(b"\r\n\r\n", checked - 3 if checked > 3 else 0)
        if end < 0:
            check_unfinished(buffer, checked, self._limits)
            self.checked = len(buffer)
            return None
        self.checked = 0
        self.empty_line = False
        line_end = buffer.find(b"\r\n")
        head = parse_line(buffer[:line_end], self._limits)
        block = buffer[line_end + 2 : end + 2]
        fields = self._fields
        if fields is None or block != self._block or head.minor != self._minor:
            fields = self._fields = self._parse(block, head.minor)
            self._block, self._minor = block, head.minor
        if head.authority is not None and head.authority.lower() != (fields.host or b"").lower():
            raise Refused(400, "the target's authority is not the Host")
        return head, fields, end + 4
