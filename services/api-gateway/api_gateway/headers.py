"""The heads that the gateway writes: to a service, and to a client."""

from http import HTTPStatus
from random import getrandbits  # names requests, guards nothing
from typing import TYPE_CHECKING

from api_gateway.fields import Fields
from api_gateway.responses import Response

if TYPE_CHECKING:
    from api_gateway.exchange import Exchange
    from api_gateway.gateway import Gateway

_STATUS_LINES = {code: b"HTTP/1.1 %d \r\n" % code for code in range(200, 600)} | {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def status_line(status: int) -> bytes:
    """The first line of an answer."""
    return _STATUS_LINES[status]


class Trace:
    """The ids of one request (contract of the platform: X-Request-ID and W3C traceparent), kept or made."""

    __slots__ = ("parent", "request_id", "trace_id")

    def __init__(self, fields: Fields) -> None:
        digits = b"%048x" % getrandbits(192)
        self.trace_id, flags = fields.trace or (digits[16:], b"01")
        self.request_id = fields.request_id or self.trace_id
        self.parent = b"00-%b-%b-%b" % (self.trace_id, digits[:16], flags)


class Security:
    """The header lines that every answer carries once."""

    def __init__(self, hsts: str, xss_protection: str) -> None:
        self.lines = (
            b"Strict-Transport-Security: %b\r\nX-Content-Type-Options: nosniff\r\n"
            b"X-XSS-Protection: %b\r\nVary: Origin\r\n"
        ) % (hsts.encode(), xss_protection.encode())


def forwarded(fields: Fields, peer: str, scheme: bytes, trusted: bool) -> bytes:
    """The lines about the client, for a service: X-Forwarded-For, -Proto and -Host, and what a trusted proxy adds."""
    chain = b"%b, %b" % (fields.forwarded_for, peer.encode()) if trusted and fields.forwarded_for else peer.encode()
    proto = fields.proto if trusted and fields.proto in {b"http", b"https"} else scheme
    lines = [fields.passed, b"X-Forwarded-For: ", chain, b"\r\nX-Forwarded-Proto: ", proto, b"\r\n"]
    if fields.host is not None:
        lines += [b"X-Forwarded-Host: ", fields.host, b"\r\n"]
    if fields.authorization is not None:
        lines += [b"Authorization: ", fields.authorization, b"\r\n"]
    if trusted:
        lines += [line for line in fields.identity if not line.lower().startswith(b"x-forwarded-host")]
    return b"".join(lines)


def request_head(exchange: "Exchange", authority: bytes, onward: bytes, prefix: bytes) -> bytes:
    """The head that a service gets; the trusted prefix and the route's own become X-Forwarded-Prefix."""
    head, fields, route = exchange.head, exchange.fields, exchange.route
    assert route is not None
    target = (
        head.path[len(route.prefix) :]
        if head.query is None
        else b"%b?%b" % (head.path[len(route.prefix) :], head.query)
    )
    if fields.chunked:
        framing = b"Transfer-Encoding: chunked\r\n"
    elif fields.length is not None or head.method in _WITH_BODY:
        framing = b"Content-Length: %d\r\n" % (fields.length or 0)
    else:
        framing = b""
    prefix += route.prefix.encode()
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b%bX-Request-ID: %b\r\ntraceparent: %b\r\n\r\n" % (
        head.method,
        target,
        authority,
        onward,
        framing,
        b"X-Forwarded-Prefix: %b\r\n" % prefix if prefix else b"",
        exchange.trace.request_id,
        exchange.trace.parent,
    )


def page_head(exchange: "Exchange", closing: bool) -> bytes:
    """A request for a page of our own, written anew for uvicorn: two parsers cannot read it differently."""
    head, fields, trace = exchange.head, exchange.fields, exchange.trace
    target = head.path if head.query is None else b"%b?%b" % (head.path, head.query)
    return b"%b %b HTTP/1.%d\r\nHost: %b\r\n%bX-Request-ID: %b\r\ntraceparent: %b\r\nConnection: %b\r\n\r\n" % (
        head.method,
        target,
        head.minor,
        fields.host or b"localhost",
        fields.passed,
        trace.request_id,
        trace.parent,
        b"close" if closing else b"keep-alive",
    )


def response_head(gateway: "Gateway", exchange: "Exchange", response: Response, chunked: bool) -> bytes:
    """The head of a service's answer, as the client gets it."""
    return b"".join(
        (
            status_line(response.status),
            response.fields,
            b"" if response.dated else gateway.date,
            b"Transfer-Encoding: chunked\r\n" if chunked else b"",
            gateway.cors.lines(exchange.fields),
            _common(gateway, exchange),
        )
    )


def problem_head(gateway: "Gateway", exchange: "Exchange", status: int, lines: bytes) -> bytes:
    """The head of an answer of our own; `lines` are whole header lines."""
    return b"".join((status_line(status), lines, gateway.date, _common(gateway, exchange)))


def _common(gateway: "Gateway", exchange: "Exchange") -> bytes:
    return b"%b%bX-Request-ID: %b\r\n%b\r\n" % (
        gateway.security.lines,
        exchange.limit_lines,
        exchange.trace.request_id,
        b"Connection: close\r\n" if exchange.client.closing else b"",
    )
