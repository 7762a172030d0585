"""The gateway's own pages: the index of documents at / and the services' OpenAPI documents under /api-docs."""

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from chassis.errors import NotFound, Unavailable
from chassis.http import JsonResponse
from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from api_gateway import problem_pages, swagger
from api_gateway.fetch import Fetch
from api_gateway.routes import Upstream

if TYPE_CHECKING:
    from api_gateway.gateway import Gateway

DOCUMENTS: dict[str, tuple[Upstream, str]] = {
    "patients": ("patient-service", "/api"),
    "appointments": ("appointment-service", "/api"),
    "auth": ("auth-service", "/"),
    "billing": ("billing-service", "/api"),
    "analytics": ("analytics-service", "/api"),
}

_INDEX = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Healthcare platform</title>
<h1>Healthcare platform</h1>
<p>Log in with <code>POST /auth/login</code>,
then send <code>Authorization: Bearer &lt;token&gt;</code> to <code>/api/…</code>.</p>
<h2>OpenAPI documents</h2>
<ul>{documents}</ul>
<p>{problems}<a href="/actuator/health">health</a></p>
</html>
"""


def _gateway(request: Request) -> "Gateway":
    gateway: Gateway = request.app.state.gateway
    return gateway


Plane = Annotated[Any, Depends(_gateway)]


def router(documents: bool) -> APIRouter:
    """The routes; without `documents` there are no /api-docs."""
    pages = APIRouter(include_in_schema=False)
    pages.add_api_route("/", _index(documents), methods=["GET"])
    if documents:
        pages.include_router(problem_pages.router())
        pages.include_router(swagger.router(DOCUMENTS))
        pages.add_api_route("/api-docs/{name}", document, methods=["GET"])
    return pages


def _index(documents: bool) -> Any:
    listed = "".join(_item(name) for name in DOCUMENTS) if documents else ""
    problems = '<a href="/api-docs/problems">problems, explained</a> · ' if documents else ""
    page = HTMLResponse(_INDEX.format(documents=listed, problems=problems))

    async def index() -> HTMLResponse:
        return page

    return index


def _item(name: str) -> str:
    return f'<li><a href="/api-docs/ui/{name}">{name}</a> (<a href="/api-docs/{name}">JSON</a>)</li>'


async def document(name: str, gateway: Plane) -> JsonResponse:
    """The OpenAPI document of a service, with the path that leads to it through the gateway."""
    if name not in DOCUMENTS:
        raise NotFound("document")
    upstream, prefix = DOCUMENTS[name]
    status, body = await Fetch(gateway.pools[upstream], "/openapi.json").run()
    if status != 200:
        raise Unavailable(upstream)
    return JsonResponse(orjson.loads(body) | {"servers": [{"url": prefix}]})
