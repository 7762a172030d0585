"""Cross-origin requests (https://fetch.spec.whatwg.org/#http-cors-protocol) from the browsers of known origins."""

from api_gateway.fields import Fields
from api_gateway.routes import METHODS

_EXPOSED = (
    b"Location, ETag, X-Request-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset,"
    b" RateLimit, RateLimit-Policy, Retry-After"
)
_REQUEST_HEADERS = b"Authorization, Content-Type, If-Match, If-None-Match, X-Request-ID, traceparent"
_MAX_AGE = b"600"


class Cors:
    """Header lines for the origins that are allowed; nothing for the others, and their browsers refuse."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._allowed = {
            origin.encode(): b"Access-Control-Allow-Origin: %b\r\nAccess-Control-Allow-Credentials: true\r\n"
            b"Access-Control-Expose-Headers: %b\r\n" % (origin.encode(), _EXPOSED)
            for origin in origins
        }

    def lines(self, fields: Fields) -> bytes:
        """What an answer to this request carries."""
        return b"" if fields.origin is None else self._allowed.get(fields.origin, b"")

    def preflight(self, fields: Fields) -> bytes | None:
        """The lines that a preflight gets besides, None when its origin is not allowed."""
        if fields.origin not in self._allowed:
            return None
        return (
            b"Access-Control-Allow-Methods: %b\r\nAccess-Control-Allow-Headers: %b\r\nAccess-Control-Max-Age: %b\r\n"
        ) % (", ".join(METHODS).encode(), _REQUEST_HEADERS, _MAX_AGE)


def is_preflight(method: bytes, fields: Fields) -> bool:
    """Whether a browser only asks whether it may."""
    return method == b"OPTIONS" and fields.origin is not None and fields.acrm is not None
