"""The head of a service's answer: its framing is read; hop-by-hop fields, and those the gateway says, are dropped."""

import re
from collections.abc import Callable

from api_gateway.bodies import Body, Chunked, Length, UntilClose
from api_gateway.fields import HOP_BY_HOP, LENGTH
from api_gateway.grammar import FIELD_LINE
from api_gateway.problems import Refused

MAX_HEAD = 65536
_HEAD = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*+)?\r\n(" + FIELD_LINE + rb"*+)\r\n")

_OURS = frozenset(
    b"server x-powered-by x-request-id traceparent strict-transport-security x-content-type-options x-xss-protection"
    b" x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset ratelimit ratelimit-policy"
    b" access-control-allow-origin access-control-allow-credentials access-control-allow-methods"
    b" access-control-allow-headers access-control-expose-headers access-control-max-age".split()
)
_DROPPED = (HOP_BY_HOP | _OURS) - {b"connection", b"transfer-encoding"}
# Lines that a service says again and again are known by sight; those of other names differ from answer to answer.
_REPEATED = frozenset(b"server content-type keep-alive cache-control vary accept-ranges content-language".split())
_MOST_KNOWN, _LONGEST_KNOWN = 1024, 256
_known: dict[bytes, bool] = {}  # passed on, or not


class Response:
    """`fields` are whole lines, Content-Length among them, ready to be sent on."""

    chunked = False
    dated = False
    length: int | None = None
    fields = b""

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
    matched = _HEAD.fullmatch(raw)
    if matched is None:
        raise Refused(502, "the service's answer is malformed")
    minor, status, block = matched.groups()
    response = Response(int(status), close=minor == b"0")
    kept = []
    named: set[bytes] = set()
    for line in block.split(b"\r\n"):
        passed_on = _known.get(line)
        if passed_on is None:
            passed_on = _read(response, line, named)
        if passed_on:
            kept.append(line)
    if named:
        kept = [line for line in kept if line[: line.find(b":")].lower() not in named]
    if response.chunked and response.length is not None:
        raise Refused(502, "the service's answer has two lengths")
    response.fields = b"\r\n".join(kept)
    return response


def _read(response: Response, line: bytes, named: set[bytes]) -> bool:
    """What a line says of the answer; whether it is passed on."""
    name = line[: line.find(b":")].lower()
    read = _READERS.get(name)
    if read is not None:
        return read(response, line, named)
    passed_on = name not in _DROPPED
    if name in _REPEATED and len(line) <= _LONGEST_KNOWN:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[line] = passed_on
    return passed_on


def _value(line: bytes) -> bytes:
    return line[line.find(b":") + 1 :].strip(b" \t")


def _date(response: Response, _: bytes, __: set[bytes]) -> bool:
    response.dated = True
    return True


def _content_length(response: Response, line: bytes, _: set[bytes]) -> bool:
    value = _value(line)
    if LENGTH.fullmatch(value) is None or response.length is not None:
        raise Refused(502, "the service's answer has no clear length")
    response.length = int(value)
    return response.status != 204  # it has none, whatever is said (RFC 9110 section 8.6)


def _transfer_encoding(response: Response, line: bytes, _: set[bytes]) -> bool:
    value = _value(line)
    if value.lower() != b"chunked" or response.chunked:
        raise Refused(502, "the service's answer has an unknown coding")
    response.chunked = True
    return False


def _connection(response: Response, line: bytes, named: set[bytes]) -> bool:
    value = _value(line)
    options = {part.strip(b" \t").lower() for part in value.split(b",")}
    response.close = response.close or b"close" in options
    named |= options - {b"", b"close", b"keep-alive", b"content-length"}
    return False


# whether the line is passed on; what has no reader is
_READERS: dict[bytes, Callable[[Response, bytes, set[bytes]], bool]] = {
    b"date": _date,
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"connection": _connection,
}
