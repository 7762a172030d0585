"""Pages from templates, with what a browser has to be told about them."""

import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from api_gateway.console import charts
from api_gateway.console.words import FILTERS, number, rate

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES = {path.name: path.read_bytes() for path in _STATIC.iterdir() if path.suffix in _TYPES}
_VERSION = hashlib.sha256(b"".join(_FILES.values())).hexdigest()[:12]

_templates = Environment(
    loader=PackageLoader("api_gateway.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= FILTERS
_templates.globals |= {"bars": charts.bars, "lines": charts.lines, "version": _VERSION, "rate": rate, "number": number}


def page(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page."""
    return HTMLResponse(_templates.get_template(name).render(**values), status, HEADERS)


def static(name: str) -> Response | None:
    """A style sheet, script or picture; its address changes with its content."""
    if name not in _FILES:
        return None
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(_FILES[name], headers=headers, media_type=_TYPES[Path(name).suffix])
