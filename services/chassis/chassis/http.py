"""HTTP as every service speaks it: JSON answers, and problems (RFC 9457) for everything that goes wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from chassis import correlation, logs
from chassis.errors import (
    FieldError,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PlatformError,
    Unauthenticated,
    help_link,
)

log = logs.logger(__name__)

BODY_LIMIT = 1_048_576
HEADERS = "chassis.headers"
"""Where in the scope the edge leaves the headers by name: the framework reads through all of them for each."""

_MESSAGES = {
    "missing": "is required",
    "string_too_short": "must not be blank",
    "none_required": "must be null",
    "extra_forbidden": "is not known",
    "json_invalid": "is not valid JSON",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "uuid_parsing": "must be a UUID",
    "uuid_type": "must be a UUID",
    "date_from_datetime_parsing": "must be a date such as 1990-01-01",
    "date_parsing": "must be a date such as 1990-01-01",
    "date_type": "must be a date such as 1990-01-01",
    "date_from_datetime_inexact": "must be a date such as 1990-01-01",
    "datetime_from_date_parsing": "must be a date-time such as 2026-05-20T09:00:00",
    "datetime_parsing": "must be a date-time such as 2026-05-20T09:00:00",
    "datetime_type": "must be a date-time such as 2026-05-20T09:00:00",
    "string_type": "must be text",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_parsing": "must be true or false",
}


_JSON = (b"content-type", b"application/json")


class JsonResponse(Response):
    """JSON from bytes that are ready, a model, or plain objects; `etag` is a version, or begins with one."""

    media_type = "application/json"

    def __init__(
        self,
        content: Any,
        status_code: int = 200,
        *,
        etag: int | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code, self.background = status_code, None
        self.body = body = self.render(content)
        # What the framework's constructor finds out for every kind of answer, this one knows.
        self.raw_headers = [(b"content-length", b"%d" % len(body)), _JSON]
        if etag is not None:
            self.raw_headers.append((b"etag", f'"{etag}"'.encode("latin-1")))
        for name, value in (headers or {}).items():
            self.raw_headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))

    def render(self, content: Any) -> bytes:
        """Bytes pass as they are."""
        if isinstance(content, bytes):
            return content
        if isinstance(content, BaseModel):
            return content.model_dump_json(by_alias=True).encode()
        return orjson.dumps(content)


def header(request: Request, name: bytes) -> str | None:
    """A header by its name in lower case; the last one, where a client sent several."""
    value: bytes | None = request.scope[HEADERS].get(name)
    return value.decode("latin-1") if value is not None else None


def prefix(request: Request) -> str:
    """What a trusted proxy cut off the path (`/api`), or nothing."""
    return str(request.scope.get("state", {}).get("prefix", ""))


def problem(request: Request, error: PlatformError) -> Response:
    """The error as `application/problem+json`."""
    return problem_response(error, request.url.path, prefix(request))


def problem_response(error: PlatformError, path: str, prefix: str = "") -> Response:
    """The error as `application/problem+json`, for a path behind a prefix that trusted proxies cut off."""
    body = orjson.dumps(error.body(prefix + path, correlation.current().trace_id))
    headers = error.headers | {"Link": help_link(error.slug, prefix)}
    return Response(body, error.status, headers, media_type="application/problem+json")


async def on_platform_error(request: Request, error: Exception) -> Response:
    """Renders our own errors."""
    assert isinstance(error, PlatformError)  # noqa: S101 - registered for nothing else
    return problem(request, error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Renders what the framework raises: no route, no such method, an unreadable body."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    return problem(request, _as_platform_error(request, error))


def _as_platform_error(request: Request, error: HTTPException) -> PlatformError:
    if isinstance(error.__cause__, PlatformError):
        return error.__cause__
    match error.status_code:
        case 401:
            return Unauthenticated()
        case 404:
            return NotFound()
        case 405:
            return MethodNotAllowed(_allowed(request))
        case 400:
            return Invalid([FieldError("body", "is not valid JSON")])
        case 413:
            return PayloadTooLarge(BODY_LIMIT)
    return PlatformError(error.status_code, "http", "HTTP Error", "the request was refused")


def _allowed(request: Request) -> list[str]:
    methods: set[str] = set()
    for candidate in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        scope = dict(request.scope) | {"method": candidate}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            methods |= {candidate, "HEAD"} if candidate == "GET" else {candidate}
    return sorted(methods)


async def on_invalid(request: Request, error: Exception) -> Response:
    """Renders validation as 400, naming fields and never values."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    return problem(request, invalid(error))


def invalid(error: RequestValidationError | ValidationError) -> Invalid:
    """What validation found, naming fields and never values."""
    return Invalid(field_errors(error.errors()))


def field_errors(errors: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """The same for pydantic's own list of errors."""
    return [_field_error(each) for each in errors]


def _field_error(error: Mapping[str, Any]) -> FieldError:
    place = [str(part) for part in error["loc"] if part not in ("body", "query", "path", "header")]
    if error["type"] == "json_invalid":
        return FieldError("body", _MESSAGES["json_invalid"])
    return FieldError(".".join(place) or "body", _message(error))


def _message(error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ").removeprefix("value ")
    if kind in ("missing", "string_type") and error.get("input") is None:
        return _MESSAGES["missing"]
    if kind == "string_too_short" and context.get("min_length", 1) > 1:
        return f"must have at least {context['min_length']} characters"
    if kind == "string_too_long":
        return f"must have at most {context['max_length']} characters"
    if kind == "too_long":
        return f"must be given {context['max_length']} times at most"
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']}"
    if kind.startswith(("greater_than", "less_than")):
        return "must be" + str(error["msg"]).removeprefix("Input should be")
    return _MESSAGES.get(kind, "is not valid")
