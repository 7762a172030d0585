"""The console as the gateway hangs it up: its routes, and what becomes of a request that may not pass."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from chassis import http
from chassis.errors import Conflict, Invalid, NotFound
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from api_gateway.console import entrance, letters, pages, render
from api_gateway.console.calls import Silent
from api_gateway.console.fleet import Services
from api_gateway.console.session import LOGIN, PATH, Forged, NoSession, inside
from api_gateway.console.watch import Watch

Handler = Callable[[Request, Exception], Awaitable[Response]]

ROUTERS: tuple[APIRouter, ...] = (entrance.router, pages.router, letters.router)


def mount(app: FastAPI, urls: Mapping[str, str], watch: Watch) -> None:
    """Gives the application what the routes need."""
    app.state.services = Services(urls, app.state.ops, watch)
    app.add_exception_handler(NoSession, _to_the_door)
    app.add_exception_handler(Forged, _forged)
    app.add_exception_handler(Silent, _silent)
    app.add_exception_handler(HTTPException, _page_of_ours(_no_page, http.on_http_error))
    app.add_exception_handler(NotFound, _page_of_ours(_not_found, http.on_platform_error))
    app.add_exception_handler(Invalid, _page_of_ours(_senseless, http.on_platform_error))
    app.add_exception_handler(RequestValidationError, _page_of_ours(_senseless, http.on_invalid))
    app.add_exception_handler(Conflict, _page_of_ours(_in_the_way, http.on_platform_error))


def _page_of_ours(page: Handler, otherwise: Handler) -> Handler:
    """A page for people under /console, a problem for programs elsewhere."""

    async def answer(request: Request, error: Exception) -> Response:
        ours = f"{request.url.path}/".startswith(f"{PATH}/")
        return await (page if ours else otherwise)(request, error)

    return answer


async def _to_the_door(request: Request, _: Exception) -> Response:
    """To the login; but the cookie of somebody who follows a link from elsewhere comes only with a second request."""
    asked = inside(quote(request.url.path)) if request.method == "GET" else PATH
    if request.headers.get("sec-fetch-site") == "cross-site":
        return render.page("again.html", title="One moment", here=asked)
    return RedirectResponse(LOGIN if asked == PATH else f"{LOGIN}?next={asked}", 303, render.HEADERS)


async def _forged(_: Request, __: Exception) -> Response:
    sentence = "This form has expired or did not come from the console. Go back, reload the page and try again."
    return render.page("refused.html", 403, title="Refused", sentence=sentence)


async def _not_found(_: Request, __: Exception) -> Response:
    sentence = "There is no such page, or no longer: a dead letter goes when it is replayed or discarded."
    return render.page("refused.html", 404, title="Not found", sentence=sentence)


async def _no_page(request: Request, error: Exception) -> Response:
    missing = isinstance(error, HTTPException) and error.status_code == 404
    return await (_not_found if missing else http.on_http_error)(request, error)


async def _senseless(_: Request, __: Exception) -> Response:
    return render.page("refused.html", 400, title="Not understood", sentence="A number was expected. Nothing was done.")


async def _in_the_way(_: Request, error: Exception) -> Response:
    return render.page("refused.html", 409, title="Not possible", sentence=f"{error}.")


async def _silent(_: Request, __: Exception) -> Response:
    sentence = "The service, or Kafka behind it, does not answer. Nothing is known of what was asked for."
    return render.page("refused.html", 503, title="No answer", sentence=sentence)
