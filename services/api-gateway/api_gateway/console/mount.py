"""The console as the gateway hangs it up: its routes, and what becomes of a request that may not pass."""

from chassis import http
from chassis.errors import NotFound
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import RedirectResponse, Response

from api_gateway.console import actions, pages, render
from api_gateway.console.calls import Silent
from api_gateway.console.fleet import Services
from api_gateway.console.session import PATH, Forged, NoSession

ROUTERS: tuple[APIRouter, ...] = (actions.router, pages.router)


def mount(app: FastAPI, urls: dict[str, str]) -> None:
    """Gives the application what the routes need."""
    app.state.services = Services(urls, app.state.ops)
    app.add_exception_handler(NoSession, _to_the_door)
    app.add_exception_handler(Forged, _forged)
    app.add_exception_handler(Silent, _silent)
    app.add_exception_handler(NotFound, _not_found)


async def _to_the_door(request: Request, _: Exception) -> Response:
    return RedirectResponse(actions.LOGIN, 303, render.HEADERS)


async def _forged(_: Request, __: Exception) -> Response:
    sentence = "This form has expired or did not come from the console. Go back, reload the page and try again."
    return render.page("refused.html", 403, title="Refused", sentence=sentence)


async def _not_found(request: Request, error: Exception) -> Response:
    if not request.url.path.startswith(PATH):
        return await http.on_platform_error(request, error)
    sentence = "There is no such page, or no longer: a dead letter goes when it is replayed or discarded."
    return render.page("refused.html", 404, title="Not found", sentence=sentence)


async def _silent(_: Request, __: Exception) -> Response:
    sentence = "The service, or Kafka behind it, does not answer. Nothing is known of what was asked for."
    return render.page("refused.html", 503, title="No answer", sentence=sentence)
