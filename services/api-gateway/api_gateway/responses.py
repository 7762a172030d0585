"""The head of a service's answer: its framing is read; hop-by-hop fields, and those the gateway says, are dropped."""

import re

from api_gateway.bodies import Body, Chunked, Length, UntilClose
from api_gateway.fields import HOP_BY_HOP
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
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"date"})
_DROPPED = (HOP_BY_HOP | _OURS) - _FRAMING


class Response:
    """`fields` are whole lines, Content-Length among them, ready to be sent on."""

    __slots__ = ("chunked", "close", "dated", "fields", "length", "status")

    def __init__(self, status: int, close: bool) -> None:
        self.status = status
        self.close = close
        self.chunked = False
        self.dated = False
        self.length: int | None = None
        self.fields = b""

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
        name = line[: line.find(b":")].lower()
        if name in _FRAMING:
            _read(response, name, line, named)
        if name not in _DROPPED and name not in {b"transfer-encoding", b"connection"} and line:
            kept.append(line)
    if named:
        kept = [line for line in kept if line[: line.find(b":")].lower() not in named]
    if response.chunked and response.length is not None:
        raise Refused(502, "the service's answer has two lengths")
    response.fields = b"\r\n".join(kept) + b"\r\n" if kept else b""
    return response


def _read(response: Response, name: bytes, line: bytes, named: set[bytes]) -> None:
    value = line[len(name) + 1 :].strip(b" \t")
    if name == b"date":
        response.dated = True
    elif name == b"content-length":
        if not value.isdigit() or response.length is not None:
            raise Refused(502, "the service's answer has no clear length")
        response.length = int(value)
    elif name == b"transfer-encoding":
        if value.lower() != b"chunked" or response.chunked:
            raise Refused(502, "the service's answer has an unknown coding")
        response.chunked = True
    else:
        options = {part.strip(b" \t").lower() for part in value.split(b",")}
        response.close = response.close or b"close" in options
        named |= options - {b"close", b"keep-alive", b"content-length"}
