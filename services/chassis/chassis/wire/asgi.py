"""A request's head as an ASGI application gets it."""

import re
from typing import Any
from urllib.parse import unquote

from chassis.cycle import EXTENSIONS
from chassis.errors import Refused
from chassis.wire.framing import READERS, Framing
from chassis.wire.grammar import FIELD, Head, Limits

LARGEST_HEAD = 16_384 + 2_048
"""Bytes of the target and the fields: what the gateway lets in, and what it adds itself."""
_ALL = LARGEST_HEAD + 30  # and the longest method, the version and line ends; check_size is exact
LIMITS = Limits(line=_ALL, head=LARGEST_HEAD, unfinished=_ALL, fields=64 + 8)
_FIELD = re.compile(FIELD)
# Lines that the gateway says again and again are known by sight; those of other names differ from request to request.
_REPEATED = frozenset(
    b"host accept accept-encoding user-agent content-type connection x-forwarded-for x-forwarded-proto x-forwarded-host"
    b" x-forwarded-prefix".split()
)
_MOST_KNOWN, _LONGEST_KNOWN = 1024, 256
_known: dict[bytes, tuple[bytes, bytes]] = {}
_AROUND_TARGET = len("  HTTP/1.1\r\n\r\n")


class Fields(Framing):
    """`pairs`: all header fields, their names in lower case."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[bytes, bytes]] = []


def parse_fields(block: bytes, minor: int) -> Fields:
    """Read a block of field lines. Raises Refused (400, 417, 431)."""
    fields, known = Fields(), _known
    lines = block.split(b"\r\n")
    if len(lines) - 1 > LIMITS.fields:
        raise Refused(431, "there are too many header fields")
    del lines[-1]
    pairs = fields.pairs
    for line in lines:
        pair = known.get(line) or _pair(line)
        if (read := READERS.get(pair[0])) is not None:
            read(fields, pair[1])
        pairs.append(pair)
    fields.check(minor)
    return fields


def _pair(line: bytes) -> tuple[bytes, bytes]:
    """The name and the value of a line that is not known by sight."""
    if _FIELD.fullmatch(line) is None:
        raise Refused(400, "the header fields are malformed")
    name, _, value = line.partition(b":")
    pair = name.lower(), value.strip(b" \t")
    if pair[0] in _REPEATED and len(line) <= _LONGEST_KNOWN:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[line] = pair
    return pair


def check_size(head: Head, end: int) -> None:
    """Whether target and fields of a head of `end` bytes are within LARGEST_HEAD. Raises Refused (431)."""
    if end - _AROUND_TARGET - len(head.method) > LARGEST_HEAD:
        raise Refused(431, "the header fields are too large")


def scope(head: Head, fields: Fields, constant: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """ASGI's scope; `constant`: its part that is the same for all requests of a connection."""
    path = head.path.decode("ascii")
    return {
        **constant,
        "http_version": "1.1" if head.minor else "1.0",
        "headers": fields.pairs.copy(),
        "state": state.copy(),
        "method": head.method.decode("ascii"),
        "path": unquote(path) if "%" in path else path,
        "raw_path": head.path,
        "query_string": head.query or b"",
        "extensions": EXTENSIONS,
    }
