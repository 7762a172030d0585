"""Finds the next request head in what a client has sent."""

from api_gateway.fields import Fields, parse_fields
from api_gateway.grammar import Head, check_block, check_unfinished, parse_line
from api_gateway.problems import Refused


class Heads:
    """One per connection. A client repeats its header fields: a block equal to the last one is not read again."""

    __slots__ = ("_block", "_fields", "_minor", "checked")

    def __init__(self) -> None:
        self.checked = 0  # bytes of an unfinished head that have been looked at
        self._block = b""
        self._minor = -1
        self._fields = Fields()

    def next(self, buffer: bytes) -> tuple[Head, Fields, int] | None:
        """The head at the start of the buffer and where it ends; None when it is unfinished. Raises Refused."""
        checked = self.checked
        end = buffer.find(b"\r\n\r\n", checked - 3 if checked > 3 else 0)
        if end < 0:
            check_unfinished(buffer, checked)
            self.checked = len(buffer)
            return None
        self.checked = 0
        line_end = buffer.find(b"\r\n")
        head = parse_line(buffer[:line_end])
        block = buffer[line_end + 2 : end + 2]
        if block != self._block or head.minor != self._minor:
            check_block(block)
            self._fields = parse_fields(block, head.minor)
            self._block, self._minor = block, head.minor
        fields = self._fields
        if head.authority is not None and head.authority.lower() != (fields.host or b"").lower():
            raise Refused(400, "the target's authority is not the Host")
        return head, fields, end + 4
