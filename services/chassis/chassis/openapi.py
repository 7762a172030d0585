"""OpenAPI documents that say what really happens: tokens, problems, and 400 where the framework would say 422."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

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
_BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "from POST /auth/login"}


def describe(app: FastAPI) -> None:
    """Makes the application's document honest; it is generated once, when somebody asks."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            schemas["Problem"] = PROBLEM
            for route, operation in _operations(app, document):
                _correct(operation, _permissions(route.dependant))
            if any("security" in each for _, each in _operations(app, document)):
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
    responses = operation["responses"]
    responses.pop("422", None)
    if permissions:
        operation["security"] = [{"bearer": []}]
        responses |= {
            "401": {"description": "no token, or none that counts", "content": _REFERENCE},
            "403": {"description": f"without the permission {', '.join(permissions)}", "content": _REFERENCE},
        }
    responses["default"] = {"description": "anything else that goes wrong", "content": _REFERENCE}


def _permissions(dependant: Dependant) -> list[str]:
    own = getattr(dependant.call, "permission", None)
    found = [own] if own is not None else []
    return found + [each for inner in dependant.dependencies for each in _permissions(inner)]
