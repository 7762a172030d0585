"""The request's head, taken literally (RFC 9112 sections 2 to 5): one allow-list, no leniency.

Lines are matched as wholes by linear expressions. What does not match is refused, never repaired: two servers that
repair differently are how requests are smuggled.
"""

import re
from dataclasses import dataclass

from chassis.errors import Refused


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of the request line, of the block of fields, and of a head that is not finished; the number of fields."""

    line: int
    head: int
    unfinished: int
    fields: int


FIELD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+"
FIELD_LINE = rb"(?:" + FIELD + rb"\r\n)"
FIELD_BLOCK = re.compile(FIELD_LINE + rb"*+")

_PATH = rb"/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*+(?:%[0-9A-Fa-f]{2}[A-Za-z0-9\-._~!$&'()*+,;=:@/]*+)*+"
_QUERY = rb"[!\"$&-~]*+(?:%[0-9A-Fa-f]{2}[!\"$&-~]*+)*+"
_PLAIN_PATH = rb"(?:/[A-Za-z0-9\-_~!$&'()*+,;=:@][A-Za-z0-9\-._~!$&'()*+,;=:@]*+)++"  # which cannot be ambiguous
_LINE = rb"([A-Z]{1,16}) (%b)(?:\?(" + _QUERY + rb"))? HTTP/1\.([01])"
_PLAIN = re.compile(_LINE.replace(b"%b", _PLAIN_PATH))
_TARGET = re.compile(_LINE.replace(b"%b", _PATH))
_ABSOLUTE = re.compile(rb"([A-Z]{1,16} )[hH][tT][tT][pP][sS]?://([^/?#\s]++)(/.*)", re.DOTALL)
_REQUEST_LINE = re.compile(rb"[A-Z]{1,16} [!-~]++ HTTP/1\.[01]\r\n")
_WHOLE_SERVER = re.compile(rb"OPTIONS \* HTTP/1\.([01])")  # RFC 9112, section 3.2.4
WHOLE_SERVER = b"*"
_NEVER_IN_A_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]|\r\n[ \t]")
# dot segments, with parameters too; encoded slash, backslash, dot and control characters
_AMBIGUOUS_PATH = re.compile(rb"/\.{1,2}(?:[/;]|$)|%(?:2[FfEe]|5[Cc]|7[Ff]|[01])")


@dataclass(slots=True)
class Head:
    """`path` and `query` (without its question mark, None when absent) as the client wrote them."""

    method: bytes
    path: bytes
    query: bytes | None
    minor: int
    authority: bytes | None = None  # of an absolute form


def parse_line(line: bytes, limits: Limits) -> Head:
    """Take a request line (without its end) apart. Raises Refused (400, 414)."""
    if len(line) > limits.line:
        raise Refused(414, "the request line is too long")
    matched = _PLAIN.fullmatch(line)
    if matched is not None:
        method, path, query, minor = matched.groups()
        return Head(method, path, query, minor == b"1")
    return _parse_unusual(line)


def _parse_unusual(line: bytes) -> Head:
    matched = _TARGET.fullmatch(line)
    authority = None
    if matched is None:
        absolute = _ABSOLUTE.fullmatch(line)
        if absolute is not None:
            authority = absolute[2]
            matched = _TARGET.fullmatch(absolute[1] + absolute[3])
        if matched is None:
            return _whole_server(line)
    method, path, query, minor = matched.groups()
    if b"//" in path or _AMBIGUOUS_PATH.search(path):
        raise Refused(400, "the path is ambiguous")
    return Head(method, path, query, minor == b"1", authority)


def _whole_server(line: bytes) -> Head:
    """`OPTIONS *`, which asks about the server and no resource; nothing else has such a target."""
    matched = _WHOLE_SERVER.fullmatch(line)
    if matched is None:
        raise Refused(400, "the request line is malformed")
    return Head(b"OPTIONS", WHOLE_SERVER, None, matched[1] == b"1")


def check_block(block: bytes, limits: Limits) -> None:
    """Check whole field lines. Raises Refused (400, 431)."""
    if len(block) > limits.head:
        raise Refused(431, "the header fields are too large")
    if FIELD_BLOCK.fullmatch(block) is None:
        raise Refused(400, "the header fields are malformed")


def check_unfinished(raw: bytes, start: int, limits: Limits) -> None:
    """Refuse what can no longer become a head; `start` is where the bytes not yet looked at begin."""
    end = raw.find(b"\r\n")
    if end > limits.line or (end < 0 and len(raw) > limits.line):
        raise Refused(414, "the request line is too long")
    if len(raw) > limits.unfinished:
        raise Refused(431, "the header fields are too large")
    if _NEVER_IN_A_HEAD.search(raw, max(0, start - 2)):
        raise Refused(400, "the request's head is malformed")
    if end >= 0 and end + 2 >= start and not _REQUEST_LINE.match(raw):
        raise Refused(400, "the request line is malformed")
