"""Swagger UI over the services' OpenAPI documents, from files of a package: a browser needs no other host."""

from collections.abc import Iterable
from importlib import resources

from chassis.errors import NotFound
from fastapi import APIRouter
from starlette.responses import HTMLResponse, RedirectResponse, Response

FIRST = "patients"
_TYPES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon.png": "image/png"}
_START = """"use strict";
const name = location.pathname.split("/").pop();
SwaggerUIBundle({ url: "../" + name, dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
"""
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>API documents</title>
<link rel="stylesheet" href="swagger-ui.css"><link rel="icon" href="favicon.png">
<nav>{links}</nav>
<div id="swagger-ui"></div>
<script src="swagger-ui-bundle.js"></script><script src="start.js"></script>
</html>
"""
_HEADERS = {
    # Swagger UI sets styles and has its icons as data.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "max-age=3600",
}


def router(documents: Iterable[str]) -> APIRouter:
    """`/api-docs/ui/{document}` for each document, the files beside them, and /docs, which leads there."""
    names = tuple(documents)
    page = _PAGE.format(links=" · ".join(f'<a href="{name}">{name}</a>' for name in names))

    async def served(name: str) -> Response:
        if name in names:
            return HTMLResponse(page, headers=_HEADERS)
        if name == "start.js":
            return Response(_START, media_type="text/javascript", headers=_HEADERS)
        if name in _TYPES:
            content = (resources.files("fastapi_offline") / "static" / name).read_bytes()
            return Response(content, media_type=_TYPES[name], headers=_HEADERS)
        raise NotFound("page")

    async def docs() -> Response:
        return RedirectResponse(f"api-docs/ui/{FIRST}")

    pages = APIRouter(include_in_schema=False)
    pages.add_api_route("/api-docs/ui/{name}", served, methods=["GET"])
    pages.add_api_route("/docs", docs, methods=["GET"])
    return pages
