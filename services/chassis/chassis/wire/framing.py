"""What decides where a request ends, and whose it is (RFC 9112, sections 3.2, 6 and 7).

One Host, one length, never a length and chunked together, no transfer coding but chunked.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from chassis.errors import Refused

_HOST = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
LENGTH = re.compile(rb"[0-9]{1,15}")


class Framing:
    """The fields of a request that its server has to understand; `close` is what Connection says, None: neither."""

    __slots__ = ("authorization", "chunked", "close", "expect", "host", "length", "named", "seen")

    def __init__(self) -> None:
        self.host: bytes | None = None
        self.length: int | None = None
        self.chunked = False
        self.close: bool | None = None
        self.expect = False
        self.authorization: bytes | None = None
        self.named: set[bytes] = set()
        self.seen: set[bytes] = set()

    @property
    def bodiless(self) -> bool:
        """Whether nothing follows the head."""
        return not self.chunked and not self.length

    def check(self, minor: int) -> None:
        """Once all fields are read. Raises Refused (400)."""
        if self.chunked and (self.length is not None or minor == 0):
            raise Refused(400, "the length of the body is ambiguous")
        if minor and self.host is None:
            raise Refused(400, "there is no Host")


def once(fields: Framing, name: bytes) -> None:
    """Refuse a field that is given twice. Raises Refused (400)."""
    if name in fields.seen:
        raise Refused(400, f"{name.decode()} is given twice")
    fields.seen.add(name)


def _host(fields: Framing, value: bytes) -> None:
    once(fields, b"Host")
    if _HOST.fullmatch(value) is None:
        raise Refused(400, "Host is malformed")
    fields.host = value


def _content_length(fields: Framing, value: bytes) -> None:
    once(fields, b"Content-Length")
    if LENGTH.fullmatch(value) is None:
        raise Refused(400, "Content-Length is malformed")
    fields.length = int(value)


def _transfer_encoding(fields: Framing, value: bytes) -> None:
    once(fields, b"Transfer-Encoding")
    if value.lower() != b"chunked":
        raise Refused(400, "this transfer coding is unknown")
    fields.chunked = True


def _connection(fields: Framing, value: bytes) -> None:
    names = {part.strip(b" \t").lower() for part in value.split(b",")}
    if b"close" in names:
        fields.close = True
    elif b"keep-alive" in names and fields.close is None:
        fields.close = False
    fields.named |= names


def _expect(fields: Framing, value: bytes) -> None:
    if value.lower() != b"100-continue":
        raise Refused(417, "only 100-continue can be expected")
    fields.expect = True


def _authorization(fields: Framing, value: bytes) -> None:
    once(fields, b"Authorization")
    fields.authorization = value


READERS: Mapping[bytes, Callable[[Any, bytes], None]] = {
    b"host": _host,
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"connection": _connection,
    b"expect": _expect,
    b"authorization": _authorization,
}
"""How each of them is read, by its name in lower case; each raises Refused (400, 417)."""
