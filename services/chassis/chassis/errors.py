"""What can go wrong, as classes that know their HTTP status; chassis.http renders them all as problem+json (RFC 9457).

    PlatformError                      status, slug, title, detail
    ├── Invalid                    400 errors: list of FieldError
    ├── Unauthenticated            401 carries WWW-Authenticate
    ├── Forbidden                  403
    ├── NotFound                   404
    ├── MethodNotAllowed           405 carries Allow
    ├── Conflict                   409 names the field, never the value
    ├── PreconditionFailed         412
    ├── PayloadTooLarge            413
    ├── UnsupportedMediaType       415
    ├── TooManyRequests            429 carries Retry-After
    ├── Refused                    what the protocol itself forbids: 400, 408, 414, 417, 431, 502, 503, 504
    └── Unavailable                503 carries Retry-After
        ├── Busy                   a refusal made on purpose, which moves no breaker
        └── LostRace               the same once more usually succeeds
    Poison                             a message that no retry can help: it becomes a dead letter

No text here may hold a person's data: details name fields and kinds, never values.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

TYPE_PREFIX = "https://example.com/errors/"


def help_link(slug: str, prefix: str = "") -> str:
    """The Link of a problem (RFC 8288) to the gateway's page about it.

    `prefix` is what trusted proxies cut off the path: `/api` by the gateway itself, which serves the pages beside it.
    """
    return f'<{prefix.removesuffix("/api")}/api-docs/problems/{slug}>; rel="help"'


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field of the input; `field` is the name on the wire."""

    field: str
    message: str


class PlatformError(Exception):
    """An answer that is not the one hoped for. `slug` ends the problem's `type`; `headers` go out with it."""

    def __init__(self, status: int, slug: str, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.headers: dict[str, str] = {}

    def body(self, instance: str, trace_id: str) -> dict[str, object]:
        """The problem as an object of JSON: `{type,title,status,detail,instance,traceId}` and what the class adds."""
        return {
            "type": TYPE_PREFIX + self.slug,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "traceId": trace_id,
        }


class Invalid(PlatformError):
    """400: the input breaks a rule; `errors` lists every broken one, `detail` is the first."""

    def __init__(self, errors: Sequence[FieldError] | str) -> None:
        listed = [FieldError("", errors)] if isinstance(errors, str) else list(errors)
        first = listed[0]
        super().__init__(400, "validation", "Validation Failed", f"{first.field} {first.message}".strip())
        self.errors = listed

    def body(self, instance: str, trace_id: str) -> dict[str, object]:
        """Adds `errors[{field,message}]`."""
        errors = [{"field": error.field, "message": error.message} for error in self.errors]
        return super().body(instance, trace_id) | {"errors": errors}


class Unauthenticated(PlatformError):
    """401: no token, or none that counts (RFC 6750, section 3)."""

    def __init__(self, detail: str = "a valid bearer token is needed", *, error: str | None = None) -> None:
        super().__init__(401, "unauthorized", "Unauthorized", detail)
        self.headers["WWW-Authenticate"] = f'Bearer error="{error}"' if error else "Bearer"


class Forbidden(PlatformError):
    """403: the token is good and the permission is not there."""

    def __init__(self, detail: str = "this needs a permission that you do not have") -> None:
        super().__init__(403, "forbidden", "Forbidden", detail)


class NotFound(PlatformError):
    """404: there is no such thing; `what` is its kind ("patient")."""

    def __init__(self, what: str = "resource") -> None:
        super().__init__(404, "not-found", "Not Found", f"{what} not found")


class MethodNotAllowed(PlatformError):
    """405: the path exists, the method does not."""

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(405, "method-not-allowed", "Method Not Allowed", f"allowed here: {', '.join(allowed)}")
        self.headers["Allow"] = ", ".join(allowed)


class Conflict(PlatformError):
    """409: the state of things is against it."""

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(409, "conflict", "Conflict", detail)
        self.field = field

    def body(self, instance: str, trace_id: str) -> dict[str, object]:
        """Adds `field` where one is to blame."""
        extra = {"field": self.field} if self.field else {}
        return super().body(instance, trace_id) | extra


class PreconditionFailed(PlatformError):
    """412: If-Match names a version that is no longer the current one."""

    def __init__(self, detail: str = "the resource has changed since that version") -> None:
        super().__init__(412, "precondition-failed", "Precondition Failed", detail)


class PayloadTooLarge(PlatformError):
    """413: the body is longer than is read."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, "payload-too-large", "Content Too Large", f"a body may have {limit} bytes")


class UnsupportedMediaType(PlatformError):
    """415: the body is not JSON, or does not say so, or is packed."""

    def __init__(self, detail: str = "the body has to be application/json") -> None:
        super().__init__(415, "unsupported-media-type", "Unsupported Media Type", detail)


class TooManyRequests(PlatformError):
    """429: come back in `retry_after` seconds."""

    def __init__(self, retry_after: float, detail: str = "too many requests") -> None:
        super().__init__(429, "too-many-requests", "Too Many Requests", detail)
        self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))


class Unavailable(PlatformError):
    """503: `what` cannot be reached or does not answer in time; come back in `retry_after` seconds."""

    def __init__(self, what: str, retry_after: float = 1.0) -> None:
        super().__init__(503, "unavailable", "Service Unavailable", f"{what} is not available")
        self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))


class LostRace(Unavailable):
    """503: another transaction won (a deadlock, a serialization failure); `chassis.again` tries once more first."""


class Busy(Unavailable):
    """503: `what` works and is in use: the work was refused before it began. Moves no breaker, is not retried here."""


class Refused(PlatformError):
    """A request that HTTP itself forbids, or an answer that broke its rules; the sentence quotes nothing of it."""

    def __init__(self, status: int, detail: str) -> None:
        phrase = HTTPStatus(status).phrase
        super().__init__(status, phrase.lower().replace(" ", "-"), phrase, detail)


class Poison(Exception):
    """A message that can never be handled; the reason quotes nothing of it."""
