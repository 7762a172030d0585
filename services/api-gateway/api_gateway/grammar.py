"""The request's head, taken literally (RFC 9112 sections 2 to 5): one allow-list, no leniency.

A head is matched as a whole by one linear expression. What does not match is refused, never repaired: two servers
that repair differently are how requests are smuggled.
"""

import re
from typing import NamedTuple

from api_gateway.problems import Refused

MAX_LINE = 8192
MAX_HEAD = 16384
MAX_FIELDS = 64

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
FIELD_LINE = rb"(?:" + TOKEN + rb"++:[\t\x20-\x7e\x80-\xff]*+\r\n)"
_HEAD = re.compile(rb"([A-Z]{1,16}) ([!-~]++) HTTP/1\.([01])\r\n(" + FIELD_LINE + rb"*+)\r\n")
_REQUEST_LINE = re.compile(rb"[A-Z]{1,16} [!-~]++ HTTP/1\.[01]\r\n")
_NEVER_IN_A_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]|\r\n[ \t]")
_PATH = re.compile(rb"/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*+(?:%[0-9A-Fa-f]{2}[A-Za-z0-9\-._~!$&'()*+,;=:@/]*+)*+")
_QUERY = re.compile(rb"[!\"$&-~]*+(?:%[0-9A-Fa-f]{2}[!\"$&-~]*+)*+")
# empty, dot and parameterised dot segments; encoded slash, backslash, dot and control characters
_AMBIGUOUS_PATH = re.compile(rb"//|/\.{1,2}(?:[/;]|$)|%(?:2[FfEe]|5[Cc]|7[Ff]|[01])")


class Head(NamedTuple):
    """`path` and `query` (without its question mark, None when absent) as the client wrote them."""

    method: bytes
    path: bytes
    query: bytes | None
    authority: bytes | None  # of an absolute form
    minor: int
    fields: bytes  # whole field lines


def parse_head(raw: bytes) -> Head:
    """Take a head apart; `raw` ends with the empty line. Raises Refused (400, 414, 431)."""
    matched = _HEAD.fullmatch(raw)
    if matched is None or len(raw) > MAX_LINE:
        _refuse_long(raw)
    if matched is None:
        raise Refused(400, "the request's head is malformed")
    method, target, minor, fields = matched.groups()
    authority = None
    if target[0] != 47:  # "/"
        target, authority = _absolute(target)
    path, mark, query = target.partition(b"?")
    if _PATH.fullmatch(path) is None or _AMBIGUOUS_PATH.search(path):
        raise Refused(400, "the path is malformed or ambiguous")
    if mark and _QUERY.fullmatch(query) is None:
        raise Refused(400, "the query is malformed")
    return Head(method, path, query if mark else None, authority, minor == b"1", fields)


def check_unfinished(raw: bytes, start: int) -> None:
    """Refuse what can no longer become a head; `start` is where the bytes not yet looked at begin."""
    if len(raw) > MAX_LINE:
        _refuse_long(raw)
    if _NEVER_IN_A_HEAD.search(raw, max(0, start - 2)):
        raise Refused(400, "the request's head is malformed")
    end = raw.find(b"\r\n")
    if end >= 0 and end + 2 >= start and not _REQUEST_LINE.match(raw):
        raise Refused(400, "the request line is malformed")


def _absolute(target: bytes) -> tuple[bytes, bytes]:
    scheme, _, rest = target.partition(b"://")
    slash = rest.find(b"/")
    if scheme.lower() not in {b"http", b"https"} or slash < 1:
        raise Refused(400, "the request's target is malformed")
    return rest[slash:], rest[:slash]


def _refuse_long(raw: bytes) -> None:
    line = raw.find(b"\r\n")
    if line > MAX_LINE or (line < 0 and len(raw) > MAX_LINE):
        raise Refused(414, "the request line is too long")
    if len(raw) > MAX_HEAD:
        raise Refused(431, "the header fields are too large")
