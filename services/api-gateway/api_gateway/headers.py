"""The heads that the gateway writes: to a service, and to a client."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from api_gateway.fields import Fields
from api_gateway.responses import Response
from api_gateway.routes import Route

if TYPE_CHECKING:
    from api_gateway.exchange import Exchange
    from api_gateway.gateway import Gateway

_STATUS_LINES = {code: b"HTTP/1.1 %d \r\n" % code for code in range(200, 600)} | {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Security:
    """The header lines that every answer carries once."""

    def __init__(self, hsts: str, xss_protection: str) -> None:
        self.lines = (
            b"Strict-Transport-Security: %b\r\nX-Content-Type-Options: nosniff\r\n"
            b"X-XSS-Protection: %b\r\nVary: Origin\r\n"
        ) % (hsts.encode(), xss_protection.encode())


def forwarded(fields: Fields, chain: bytes, scheme: bytes, trusted: bool) -> bytes:
    """The lines about the client, for a service: X-Forwarded-For, -Proto and -Host, and what a trusted proxy adds.

    `chain`: the client and the trusted proxies behind it. A service that believes more networks than we do could take
    an address further left, which nobody but the client has said, for the client's.
    """
    proto = fields.proto if trusted and fields.proto in {b"http", b"https"} else scheme
    lines = [fields.passed, b"X-Forwarded-For: ", chain, b"\r\nX-Forwarded-Proto: ", proto, b"\r\n"]
    if fields.host is not None:
        lines += [b"X-Forwarded-Host: ", fields.host, b"\r\n"]
    if fields.authorization is not None:
        lines += [b"Authorization: ", fields.authorization, b"\r\n"]
    if trusted:
        lines += [line for line in fields.identity if not line.lower().startswith(b"x-forwarded-host")]
    return b"".join(lines)


def onward(fields: Fields, route: Route, authority: bytes, about: bytes, prefix: bytes) -> bytes:
    """What follows the target in the head for a service, up to the request id; the same for equal fields and route.

    `about`: the lines about the client; `prefix`: what trusted proxies have cut off the path before us.
    """
    prefix += route.prefix.encode()
    return b" HTTP/1.1\r\nHost: %b\r\n%b%bX-Request-ID: " % (
        authority,
        about,
        b"X-Forwarded-Prefix: %b\r\n" % prefix if prefix else b"",
    )


def framing(method: bytes, fields: Fields) -> bytes:
    """The line that says how long the body is."""
    if fields.chunked:
        return b"Transfer-Encoding: chunked\r\n"
    if fields.length is not None or method in _WITH_BODY:
        return b"Content-Length: %d\r\n" % (fields.length or 0)
    return b""


def page_head(exchange: "Exchange", closing: bool, length: int, trusted: bool, chain: str) -> bytes:
    """A request for a page of our own, written anew for uvicorn: two parsers cannot read it differently.

    `length`: of its body; `trusted`: whether the peer may say that the client speaks TLS; `chain`: as in `forwarded`.
    """
    head, fields = exchange.head, exchange.fields
    lines = b"Content-Length: %d\r\n" % length if length else b""
    lines += b"X-Forwarded-For: %b\r\n" % chain.encode()
    if trusted and fields.proto == b"https":
        lines += b"X-Forwarded-Proto: https\r\n"
    target = head.path if head.query is None else b"%b?%b" % (head.path, head.query)
    return b"%b %b HTTP/1.%d\r\nHost: %b\r\n%b%bX-Request-ID: %b\r\ntraceparent: %b\r\nConnection: %b\r\n\r\n" % (
        head.method,
        target,
        head.minor,
        fields.host or b"localhost",
        fields.passed,
        lines,
        exchange.request_id,
        exchange.parent,
        b"close" if closing else b"keep-alive",
    )


def page_lines(gateway: "Gateway", exchange: "Exchange") -> bytes:
    """What the answer of a page of our own carries."""
    shared = gateway.routes.is_shared(exchange.head.path)
    return gateway.security.lines + exchange.limit_lines + (gateway.cors.lines(exchange.fields) if shared else b"")


def response_head(gateway: "Gateway", exchange: "Exchange", response: Response, chunked: bool) -> bytes:
    """The head of a service's answer, as the client gets it."""
    fields = exchange.fields
    return b"".join(
        (
            _STATUS_LINES[response.status],
            response.fields,
            b"" if response.dated else gateway.date,
            b"Transfer-Encoding: chunked\r\n" if chunked else b"",
            b"" if fields.origin is None else gateway.cors.lines(fields),
            gateway.security.lines,
            exchange.limit_lines,
            b"X-Request-ID: ",
            exchange.request_id,
            b"\r\nConnection: close\r\n\r\n" if exchange.client.close_after or gateway.drain.now else b"\r\n\r\n",
        )
    )


def problem_head(gateway: "Gateway", exchange: "Exchange", status: int, lines: bytes) -> bytes:
    """The head of an answer of our own; `lines` are whole header lines."""
    response = Response(status, close=False)
    response.fields = lines
    return response_head(gateway, exchange, response, chunked=False)
