"""An application around its parts; `chassis.server` makes a process of it."""

import asyncio
import contextlib
import functools
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from chassis import again, direct, edge, http, openapi, ops, runtime, startup
from chassis.actuator import Actuator, Part
from chassis.auth import TokenVerifier
from chassis.connections import Connections
from chassis.disk_space import DiskSpace
from chassis.errors import LostRace, PlatformError
from chassis.hosting import Hosted
from chassis.jwks import Jwks
from chassis.protocol import LimitedProtocol
from chassis.proxies import Networks
from chassis.ring import Ring
from chassis.settings import ServiceSettings
from chassis.tally import Count, Counter, Histogram, Series

REQUESTS = Counter("http_requests_total", "Requests by route template", ["method", "handler", "status"])
SECONDS = Histogram(
    "http_request_duration_seconds",
    "From the request's head to the answer's last byte",
    ["method", "handler"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class _State(State):
    """Keeps its attributes as attributes: starlette's looks each up in a dictionary, by way of two methods."""

    __setattr__ = object.__setattr__  # type: ignore[assignment]  # the same, but for the names of its parameters


class Application(FastAPI):
    """FastAPI, and past all its layers the straight way to the routes that need none of them."""

    _straight: tuple[direct.Direct, edge.Edge] | None = None
    waits = False
    """Whether parts still wait to start; only the actuator answers then."""

    def go_straight(self, routes: direct.Direct, around: edge.Edge) -> None:
        """From now on."""
        self._straight = routes, around

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if self.waits and scope["type"] == "http" and not scope["path"].startswith(edge.QUIET):
            await startup.refuse(scope, receive, send)
            return
        if scope["type"] == "http" and self._straight is not None:
            routes, around = self._straight
            if call := routes.find(scope):
                scope["app"] = self
                await around.straight(call, scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def create_app(
    settings: ServiceSettings,
    *,
    routers: Sequence[APIRouter] = (),
    parts: Sequence[Part] = (),
    permissions: Mapping[str, frozenset[str]] | None = None,
    state: Mapping[str, object] | None = None,
    forms: str | None = None,
) -> FastAPI:
    """The application of one service.

    Parts start in order and stop in reverse, when SERVICE_ROLES has their role. Each entry of `state` becomes an
    attribute of `app.state`, where dependencies find it; `permissions` says what each role may do. An `http_protocol`
    among them is the protocol class that serves the application, instead of LimitedProtocol. Paths that begin with
    `forms` take HTML forms, and are left to the framework with the application's own exception handlers.
    """
    draining = edge.Draining()
    parts = [*parts, *_keys(settings, (state or {}).get("tokens")), *_disk(settings)]
    running = [part for part in parts if part.role is None or part.role in settings.service_roles]
    actuator = Actuator(settings, running, draining)
    operations = ops.Ops(settings, running, actuator)
    app = _framework(settings, _lifespan(settings, running, actuator, operations.ring))
    proxies = Networks(settings.trusted_proxies)
    named = {"settings": settings, "draining": draining, "parts": parts, "ops": operations, "proxies": proxies}
    named |= {"permissions": permissions or {}, **(state or {})}
    if "http_protocol" not in named:
        connections: Connections[Hosted] = Connections(settings, proxies)
        named["http_protocol"] = partial(LimitedProtocol, settings=settings, connections=connections)
    app.state = _State()
    for name, value in named.items():
        setattr(app.state, name, value)
    mine = [route for router in routers for route in router.routes] if "api" in settings.service_roles else []
    _route(app, mine, [*actuator.router().routes, *operations.router().routes], settings)
    around = partial(edge.Edge, trusted=proxies, draining=draining, observe=_observe, forms=forms)
    app.add_middleware(around)
    strict = partial(_strict, pages=forms is not None)
    app.go_straight(direct.Direct(_for_programs(app.router.routes, forms), strict), around(app))
    openapi.describe(app)
    return app


def _framework(settings: ServiceSettings, lifespan: Callable[[FastAPI], Any]) -> Application:
    return Application(
        title=settings.service_name,
        version=settings.app_version,
        docs_url="/docs" if settings.docs_enabled else None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        exception_handlers={
            LostRace: again.on_lost_race,
            PlatformError: http.on_platform_error,
            HTTPException: http.on_http_error,
            RequestValidationError: http.on_invalid,
        },
        telemetry={"tracing": False},
    )


def _route(app: FastAPI, mine: Sequence[BaseRoute], everybodys: Sequence[BaseRoute], settings: ServiceSettings) -> None:
    """Flat, and the service's own first: an included router is matched as a whole, again for every request."""
    for route in mine:
        if isinstance(route, APIRoute):
            route.app = again.repeatable(route.app)
    app.router.routes[:0] = mine
    app.router.routes.extend(everybodys)
    if "prometheus" in settings.management_endpoints_web_exposure_include:
        Instrumentator().expose(app, endpoint="/actuator/prometheus", include_in_schema=False)


def _for_programs(routes: Sequence[BaseRoute], forms: str | None) -> Sequence[BaseRoute]:
    """All but the pages of people: what goes wrong there is a page too, by handlers that only the framework calls."""
    return [each for each in routes if not forms or not f"{getattr(each, 'path', '')}/".startswith(forms)]


def _strict(path: str, *, pages: bool) -> bool:
    """Whether a query parameter must be known: probes and scrapers may send their own, and so may links to pages."""
    return not pages and not path.startswith("/actuator/")


def _keys(settings: ServiceSettings, tokens: object) -> list[Part]:
    """Where tokens are checked with published keys, the part that fetches them."""
    url = getattr(settings, "jwt_jwks_url", None)
    return [Jwks(url, tokens)] if url and isinstance(tokens, TokenVerifier) else []


def _disk(settings: ServiceSettings) -> list[Part]:
    return [DiskSpace(settings.disk_space_path)] if settings.disk_space_path else []


def _observe(method: str, route: str, status: int, seconds: float) -> None:
    requests, durations = _series(method, route, status)
    requests.inc()
    durations.observe(seconds)


@functools.lru_cache(maxsize=4096)
def _series(method: str, route: str, status: int) -> tuple[Count, Series]:
    return REQUESTS.labels(method, route, str(status)), SECONDS.labels(method, route)


def _lifespan(
    settings: ServiceSettings, parts: Sequence[Part], actuator: Actuator, ring: Ring
) -> Callable[[FastAPI], Any]:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        def waits(whether: bool) -> None:
            assert isinstance(app, Application)  # noqa: S101 - made by `_framework`
            app.waits = whether
            actuator.started = not whether

        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(startup.running(parts, waits))
            watching = asyncio.create_task(runtime.watch_loop(), name="event loop watch")
            stack.callback(watching.cancel)
            remembering = asyncio.create_task(ring.run(), name="ring of the last minutes")
            stack.callback(remembering.cancel)
            runtime.describe(settings)
            # What start-up made stays for ever: collecting it again and again costs tens of milliseconds each time.
            gc.collect()
            gc.freeze()
            # A request's objects are gone without the collector; a look at each 700 of them costs a tenth of a request.
            gc.set_threshold(5_000, 10, 10)
            yield
            actuator.started = False

    return lifespan
