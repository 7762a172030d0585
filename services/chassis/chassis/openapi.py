"""OpenAPI documents that say what really happens: tokens, problems, and 400 where the framework would say 422.

What follows from an operation's shape is added here; what only its route knows stands there, in `responses`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from chassis.auth import SIGNED_IN

PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail", "instance", "traceId"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "traceId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
    "example": {
        "type": "https://example.com/errors/validation",
        "title": "Validation Failed",
        "status": 400,
        "detail": "name must not be blank",
        "instance": "/patients",
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "errors": [{"field": "name", "message": "must not be blank"}],
    },
}
_REFERENCE = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ETAG = {"ETag": {"description": "the version, in quotes", "schema": {"type": "string"}}}
_HELP = {"Link": {"description": 'a page about this kind of problem, rel="help"', "schema": {"type": "string"}}}
_RETRY = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}

Responses = dict[int | str, dict[str, Any]]
CONFLICT: Responses = {
    409: {"description": "a value that is taken, a version that is gone, or a state that forbids it"}
}
CREATED: Responses = CONFLICT | {
    201: {
        "description": "Created",
        "headers": _ETAG | {"Location": {"description": "where it is", "schema": {"type": "string"}}},
    }
}
_BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "from POST /auth/login"}


def example_page(row: dict[str, Any], sort: str) -> dict[str, Any]:
    """A page with one row, as an example."""
    return {
        "content": [row],
        "page": 0,
        "size": 20,
        "totalElements": 1,
        "totalPages": 1,
        "sort": [sort],
        "hasNext": False,
        "hasPrevious": False,
    }


def describe(app: FastAPI) -> None:
    """Makes the application's document honest; it is generated once, when somebody asks."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            document["info"]["license"] = {"name": "MIT", "identifier": "MIT"}
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            schemas["Problem"] = PROBLEM
            for route, operation in _operations(app, document):
                _correct(operation, _permissions(route.dependant))
            if any({"bearer": []} in each["security"] for _, each in _operations(app, document)):
                document["components"]["securitySchemes"] = {"bearer": _BEARER}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _operations(app: FastAPI, document: dict[str, Any]) -> Iterator[tuple[APIRoute, dict[str, Any]]]:
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                yield route, document["paths"][route.path_format][method.lower()]


def _correct(operation: dict[str, Any], permissions: list[str]) -> None:
    responses: dict[str, dict[str, Any]] = operation["responses"]
    responses.pop("422", None)
    operation.setdefault("security", [{"bearer": []}] if permissions else [])
    for status, description in _problems(operation, permissions).items():
        responses.setdefault(status, {"description": description})
    for status, response in responses.items():
        if status[0] in "4d":
            response["content"] = _REFERENCE
            response["headers"] = response.get("headers", {}) | _HELP
    responses["429"]["headers"] = _RETRY | _HELP
    fields = _fields(operation)
    if "if-none-match" in fields and "200" in responses and "requestBody" not in operation:
        responses["304"] = {"description": "the client has this version", "headers": _ETAG}
    if "200" in responses and fields & {"if-match", "if-none-match"}:
        responses["200"]["headers"] = _ETAG
    operation["responses"] = dict(sorted(responses.items()))


def _problems(operation: Mapping[str, Any], permissions: list[str]) -> dict[str, str]:
    """The statuses that follow from the operation's shape, and what they mean."""
    found = {
        "400": "a parameter or the body is not valid, or a query parameter is not known",
        "429": "too many requests",
        "default": "anything else that goes wrong",
    }
    if permissions:
        found["401"] = "no token, or none that counts"
    if named := ", ".join(each for each in permissions if each != SIGNED_IN):
        found["403"] = f"without the permission {named}"
    if any(each["in"] == "path" for each in operation.get("parameters", ())):
        found["404"] = "there is none"
    if "if-match" in _fields(operation):
        found["412"] = "If-Match names another version, or If-None-Match of a write the current one"
    return found


def _fields(operation: Mapping[str, Any]) -> set[str]:
    return {each["name"].lower() for each in operation.get("parameters", ()) if each["in"] == "header"}


def _permissions(dependant: Dependant) -> list[str]:
    own = getattr(dependant.call, "permission", None)
    found = [own] if own is not None else []
    return found + [each for inner in dependant.dependencies for each in _permissions(inner)]
