"""The head of a service's answer: its framing is read; hop-by-hop fields, and those the gateway says, are dropped."""

import re
from collections.abc import Callable
from typing import TypeVar

from chassis.errors import Refused
from chassis.wire.bodies import Body, Chunked, Length, UntilClose
from chassis.wire.framing import LENGTH
from chassis.wire.grammar import FIELD

from api_gateway.fields import HOP_BY_HOP

Value = TypeVar("Value")

MAX_HEAD = 65536
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*+)?")
_FIELD = re.compile(FIELD)

_OURS = frozenset(
    b"server x-powered-by x-request-id traceparent strict-transport-security x-content-type-options x-xss-protection"
    b" x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset ratelimit ratelimit-policy"
    b" access-control-allow-origin access-control-allow-credentials access-control-allow-methods"
    b" access-control-allow-headers access-control-expose-headers access-control-max-age".split()
)
_DROPPED_NAMES = (HOP_BY_HOP | _OURS) - {b"connection", b"transfer-encoding"}

# What a line comes to; 0 and more: the length of the body.
_PASSED, _DROPPED, _DATE = -1, -2, -3

# Lines that a service says again and again are known by sight; those of other names differ from answer to answer.
_REPEATED = frozenset(
    b"server content-type content-length date keep-alive cache-control vary accept-ranges content-language".split()
)
_KEEP_ALIVE = b"connection: keep-alive"
_MOST_KNOWN, _LONGEST_KNOWN = 1024, 256
_known: dict[bytes, int] = {}
_known_statuses: dict[bytes, tuple[int, bool]] = {}


class Response:
    """`fields` are whole lines, Content-Length among them, ready to be sent on."""

    chunked = False
    dated = False
    length: int | None = None
    fields = b""
    named: frozenset[bytes] = frozenset()  # by Connection, so they end here

    def __init__(self, status: int, close: bool) -> None:
        self.status = status
        self.close = close

    def body(self, method: bytes) -> Body:
        """How the body ends (RFC 9112 section 6.3)."""
        if method == b"HEAD" or self.status in {204, 304}:
            return Length(0)
        if self.chunked:
            return Chunked()
        if self.length is not None:
            return Length(self.length)
        self.close = True
        return UntilClose()


def parse_response(raw: bytes) -> Response:
    """Read a head that ends with its empty line. Raises Refused (502)."""
    lines = raw[:-4].split(b"\r\n")
    status, close = _known_statuses.get(lines[0]) or _status(lines[0])
    response = Response(status, close)
    kept = []
    for line in lines[1:]:
        meaning = _known.get(line)
        if meaning is None:
            meaning = _read(response, line)
        if meaning == _PASSED:
            kept.append(line)
        elif meaning >= 0:
            if response.length is not None:
                raise _unclear()
            response.length = meaning
            if status != 204:  # it has no length, whatever is said (RFC 9110 section 8.6)
                kept.append(line)
        elif meaning == _DATE:
            response.dated = True
            kept.append(line)
    if response.named:
        kept = [line for line in kept if _name(line) not in response.named]
    if response.chunked and response.length is not None:
        raise Refused(502, "the service's answer has two lengths")
    kept.append(b"")
    response.fields = b"\r\n".join(kept)
    return response


def _status(line: bytes) -> tuple[int, bool]:
    """The status, and whether the connection ends with the answer unless it says otherwise."""
    matched = _STATUS.fullmatch(line)
    if matched is None:
        raise _malformed()
    read = int(matched[2]), matched[1] == b"0"
    _remember(_known_statuses, line, read)
    return read


def _read(response: Response, line: bytes) -> int:
    """What a line that is not known by sight comes to."""
    if _FIELD.fullmatch(line) is None:
        raise _malformed()
    name = _name(line)
    read = _READERS.get(name)
    if read is not None:
        meaning = read(response, line[len(name) + 1 :].strip(b" \t"))
    else:
        meaning = _DROPPED if name in _DROPPED_NAMES else _PASSED
    if name in _REPEATED or line.lower() == _KEEP_ALIVE:
        _remember(_known, line, meaning)
    return meaning


def _name(line: bytes) -> bytes:
    return line[: line.find(b":")].lower()


def _remember(known: dict[bytes, Value], line: bytes, meaning: Value) -> None:
    if len(line) <= _LONGEST_KNOWN:
        if len(known) >= _MOST_KNOWN:
            known.clear()
        known[line] = meaning


def _malformed() -> Refused:
    return Refused(502, "the service's answer is malformed")


def _unclear() -> Refused:
    return Refused(502, "the service's answer has no clear length")


def _content_length(_: Response, value: bytes) -> int:
    if LENGTH.fullmatch(value) is None:
        raise _unclear()
    return int(value)


def _transfer_encoding(response: Response, value: bytes) -> int:
    if value.lower() != b"chunked" or response.chunked:
        raise Refused(502, "the service's answer has an unknown coding")
    response.chunked = True
    return _DROPPED


def _connection(response: Response, value: bytes) -> int:
    options = {part.strip(b" \t").lower() for part in value.split(b",")}
    response.close = response.close or b"close" in options
    response.named |= options - {b"", b"close", b"keep-alive", b"content-length"}
    return _DROPPED


_READERS: dict[bytes, Callable[[Response, bytes], int]] = {
    b"date": lambda _, __: _DATE,
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"connection": _connection,
}
