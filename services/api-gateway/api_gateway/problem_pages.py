"""A page about each kind of problem, for people who follow the Link of a problem+json (RFC 9457, section 4)."""

from dataclasses import dataclass
from html import escape

from chassis.errors import TYPE_PREFIX, NotFound
from fastapi import APIRouter
from starlette.responses import HTMLResponse


@dataclass(frozen=True, slots=True)
class Explained:
    """A kind of problem: what it means, and what the caller does about it."""

    status: int
    title: str
    meaning: str
    remedy: str


EXPLAINED = {
    "validation": Explained(
        400,
        "Validation Failed",
        "A field, a query parameter or the path breaks its rule. `errors` lists each broken rule with its field.",
        "Correct the named fields and send the request again. The rules are in the service's OpenAPI document.",
    ),
    "bad-request": Explained(
        400,
        "Bad Request",
        "The bytes are no clear HTTP request: two servers could read them differently, so nobody acts on them.",
        "Use a client that follows RFC 9112: one Host, one length, no bare line feed, no dot segments in the path.",
    ),
    "unauthorized": Explained(
        401,
        "Unauthorized",
        "The request has no token, or its token is malformed, expired, or signed with another key.",
        "Log in with POST /auth/login and send the token as `Authorization: Bearer <token>`.",
    ),
    "forbidden": Explained(
        403,
        "Forbidden",
        "The token is valid, but its role may not do this; or a browser asked from an origin that is not allowed.",
        "Ask an administrator for the role, or for your origin in CORS_ALLOWED_ORIGINS.",
    ),
    "not-found": Explained(
        404, "Not Found", "Nothing has this path or this id, or it was deleted.", "Check the path and the id."
    ),
    "method-not-allowed": Explained(
        405,
        "Method Not Allowed",
        "The path exists, but not with this method.",
        "The Allow header lists the methods that exist.",
    ),
    "request-timeout": Explained(
        408, "Request Timeout", "The request did not arrive in time.", "Send it again, without pauses inside it."
    ),
    "conflict": Explained(
        409,
        "Conflict",
        "The state of things stands against it: the value is taken, the version is old, or the change is not allowed.",
        "Read the resource again and decide anew; `field` names the value that is taken.",
    ),
    "precondition-failed": Explained(
        412,
        "Precondition Failed",
        "If-Match or If-None-Match does not hold: the resource has changed since that entity tag.",
        "Read the resource again, merge, and send its new ETag.",
    ),
    "payload-too-large": Explained(
        413, "Content Too Large", "The body is longer than is read.", "Send less; the limit is in the detail."
    ),
    "uri-too-long": Explained(414, "URI Too Long", "The request line is too long.", "Send fewer parameters."),
    "unsupported-media-type": Explained(
        415,
        "Unsupported Media Type",
        "The body is not JSON, does not say so, or is compressed.",
        "Send `Content-Type: application/json` and an uncompressed body.",
    ),
    "expectation-failed": Explained(
        417, "Expectation Failed", "Only 100-continue can be expected.", "Leave the Expect header out."
    ),
    "too-many-requests": Explained(
        429,
        "Too Many Requests",
        "The quota of this client or address on this route is spent.",
        "Wait as long as Retry-After says; the RateLimit headers tell how much is left.",
    ),
    "request-header-fields-too-large": Explained(
        431, "Request Header Fields Too Large", "The header fields are longer or more than are read.", "Send fewer."
    ),
    "internal": Explained(
        500,
        "Internal Server Error",
        "Our code failed. The log has the place, under the traceId of the problem.",
        "Report the traceId. Repeat the request only if it is idempotent.",
    ),
    "bad-gateway": Explained(
        502,
        "Bad Gateway",
        "The service's answer was broken, or it closed the connection in the middle.",
        "Repeat the request if it is idempotent.",
    ),
    "unavailable": Explained(
        503,
        "Service Unavailable",
        "Something that is needed cannot be reached or does not take writes right now.",
        "Repeat the request after Retry-After seconds.",
    ),
    "service-unavailable": Explained(
        503, "Service Unavailable", "The gateway has no room for another connection.", "Connect again a little later."
    ),
    "gateway-timeout": Explained(
        504,
        "Gateway Timeout",
        "The service did not answer in time; whether it acted is not known.",
        "Read first whether it did, then repeat.",
    ),
}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<h1>{heading}</h1>
{content}
<p><a href="{up}">All problems</a></p>
</html>
"""
_HEADERS = {"Content-Security-Policy": "default-src 'none'", "Cache-Control": "max-age=3600"}


def router() -> APIRouter:
    """`/api-docs/problems` and `/api-docs/problems/{slug}`, for whom no token is needed."""
    pages = APIRouter(include_in_schema=False)
    pages.add_api_route("/api-docs/problems", index, methods=["GET"])
    pages.add_api_route("/api-docs/problems/{slug}", explanation, methods=["GET"])
    return pages


async def index() -> HTMLResponse:
    """Every kind of problem."""
    items = "".join(
        f'<li><a href="problems/{slug}">{each.status} {escape(each.title)}</a>: {escape(each.meaning)}</li>'
        for slug, each in EXPLAINED.items()
    )
    body = _PAGE.format(title="Problems", heading="Problems", content=f"<ul>{items}</ul>", up="problems")
    return HTMLResponse(body, headers=_HEADERS)


async def explanation(slug: str) -> HTMLResponse:
    """What one kind of problem means, and what the caller does about it."""
    each = EXPLAINED.get(slug)
    if each is None:
        raise NotFound("problem")
    content = (
        f"<p><code>{TYPE_PREFIX}{slug}</code></p><h2>What it means</h2><p>{escape(each.meaning)}</p>"
        f"<h2>What to do</h2><p>{escape(each.remedy)}</p>"
    )
    heading = f"{each.status} {escape(each.title)}"
    return HTMLResponse(_PAGE.format(title=heading, heading=heading, content=content, up="."), headers=_HEADERS)
