"""Cross-origin requests (https://fetch.spec.whatwg.org/#http-cors-protocol) from the browsers of known origins."""

import re
from collections.abc import Sequence

from api_gateway.fields import Fields

_EXPOSED = (
    b"Location, ETag, X-Request-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset,"
    b" RateLimit, RateLimit-Policy, Retry-After"
)
_REQUEST_HEADERS = b"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-ID, traceparent"
_MAX_AGE = b"600"
_LOOPBACK = re.compile(rb"https?://(?:localhost|127\.0\.0\.1)(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_USUAL_PORTS = {"http": 80, "https": 443}


def normal_origin(text: str) -> str:
    """An origin as browsers send it (RFC 6454, section 6.2): small letters, no usual port, nothing after it.

    Raises:
        ValueError: no browser sends such an origin; the sentence says what it has to look like.
    """
    matched = _ORIGIN.fullmatch(text.lower().removesuffix("/"))
    if matched is None:
        if text == "*":
            raise ValueError("names origins one by one: with credentials no browser accepts *")
        raise ValueError(f"an origin has to look like https://app.example or http://localhost:3000, not {text}")
    scheme, host, port = matched.groups()
    usual = port is None or int(port) == _USUAL_PORTS[scheme]
    return f"{scheme}://{host}" if usual else f"{scheme}://{host}:{int(port)}"


class Cors:
    """Header lines for the origins that are allowed; nothing for the others, and their browsers refuse.

    `loopback`: localhost and 127.0.0.1 are allowed on any port, for developers whose tools choose one.
    """

    def __init__(self, origins: frozenset[str], *, loopback: bool = False) -> None:
        self._allowed = {origin.encode(): _allowing(origin.encode()) for origin in origins}
        self._loopback = loopback

    def lines(self, fields: Fields) -> bytes:
        """What an answer to this request carries."""
        if fields.origin is None:
            return b""
        found = self._allowed.get(fields.origin, b"")
        if not found and self._loopback and _LOOPBACK.fullmatch(fields.origin):
            return _allowing(fields.origin)
        return found

    def preflight(self, fields: Fields, methods: Sequence[str]) -> bytes | None:
        """The lines that a preflight gets besides, with its path's methods; None when its origin is not allowed."""
        if not self.lines(fields):
            return None
        return (
            b"Access-Control-Allow-Methods: %b\r\nAccess-Control-Allow-Headers: %b\r\nAccess-Control-Max-Age: %b\r\n"
        ) % (", ".join(methods).encode(), _REQUEST_HEADERS, _MAX_AGE)


def _allowing(origin: bytes) -> bytes:
    return (
        b"Access-Control-Allow-Origin: %b\r\nAccess-Control-Allow-Credentials: true\r\n"
        b"Access-Control-Expose-Headers: %b\r\n" % (origin, _EXPOSED)
    )


def is_preflight(method: bytes, fields: Fields) -> bool:
    """Whether a browser only asks whether it may."""
    return method == b"OPTIONS" and fields.origin is not None and fields.acrm is not None
