"""Routes answered without the framework in between.

FastAPI defines, checks and documents every route. Its solver of parameters is general and costs more than what most of
our routes do, so a route whose parameters are of the plain kinds is called straight from the edge: the request,
path and query parameters, one JSON body, and dependencies that take the request alone or query parameters alone. Any
other route goes the framework's way, and what a client sees is the same.

The order is that of the documents: whoever may not is told so before anything else is looked at (401, 403), then comes
what is wrong with the query, the path and the body together (400), and only then a transaction is opened.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, cast

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from chassis.again import once_more
from chassis.errors import FieldError, Invalid
from chassis.http import field_errors
from chassis.parameters import Parameters, guard

_Open = Callable[[Request], AbstractAsyncContextManager[Any]]


class Direct:
    """The routes of an application, in order; `strict` says of which a query parameter must be known."""

    def __init__(self, routes: Sequence[object], strict: Callable[[str], bool]) -> None:
        self._routes = [
            (route.methods or set(), route.path_regex, route, _call(route, strict(route.path)))
            for route in routes
            if isinstance(route, APIRoute)
        ]

    def find(self, scope: Scope) -> "Call | None":
        """What answers this request, noted in the scope as the framework does; None leaves it to the framework."""
        method, path = scope["method"], scope["path"]
        if method == "HEAD":
            method = "GET"
        for methods, pattern, route, call in self._routes:
            if method in methods and (match := pattern.match(path)):
                if call is not None:
                    scope["route"] = route
                    scope["path_params"] = match.groupdict()
                return call
        return None


class Call:
    """One route, taken apart once."""

    def __init__(self, route: APIRoute, *, strict: bool) -> None:
        """`strict`: whether a query parameter that the route does not know is refused."""
        dependant = route.dependant
        self._endpoint: Callable[..., Awaitable[Response]] = route.endpoint
        self._request = dependant.request_param_name
        self._parameters = Parameters(dependant, strict=strict)
        self._body: str | None = None
        if dependant.body_params:
            field = dependant.body_params[0]
            self._body = field.name
            self._model: TypeAdapter[Any] = TypeAdapter(cast(Any, field.field_info.annotation))
        self._ask: list[tuple[str, Callable[..., Awaitable[Any]]]] = []
        self._derive: list[tuple[str, Callable[..., Awaitable[Any]]]] = []
        self._open: list[tuple[str, _Open]] = []
        for each in dependant.dependencies:
            assert each.call is not None and each.name is not None  # noqa: S101, PT018 - `can` has looked
            if inspect.isasyncgenfunction(each.call):
                self._open.append((each.name, asynccontextmanager(each.call)))
            else:
                (self._derive if each.query_params else self._ask).append((each.name, each.call))

    @staticmethod
    def can(route: APIRoute) -> bool:
        """Whether the route is of the plain kind."""
        own = route.dependant
        return (
            inspect.iscoroutinefunction(route.endpoint)
            and _answers_response(route.endpoint)
            and not _beyond_query(own)
            and Parameters.can(own.query_params)
            and len(own.body_params) <= 1
            and all(_plain(each) for each in own.dependencies)
        )

    async def __call__(self, request: Request) -> Response:
        """The endpoint's answer.

        Raises:
            PlatformError: whatever the dependencies and the endpoint raise, and Invalid for the query, path and body.
        """
        values = {name: await ask(request) for name, ask in self._ask}
        found: list[FieldError] = []
        read = self._parameters.read(request, found)
        if self._body:
            values[self._body] = await self._content(request, found)
        if found:
            raise Invalid(found)
        for name, derive in self._derive:
            values[name] = await derive(**read[name])
        values |= read.get(None, {})
        if self._request:
            values[self._request] = request
        if not self._open:
            return await self._endpoint(**values)
        return await once_more(partial(self._within, request, values))

    async def _within(self, request: Request, values: dict[str, Any]) -> Response:
        async with AsyncExitStack() as stack:
            for name, opened in self._open:
                values[name] = await stack.enter_async_context(opened(request))
            return await self._endpoint(**values)

    async def _content(self, request: Request, found: list[FieldError]) -> Any:
        try:
            return self._model.validate_json(await _content(request))
        except ValidationError as error:
            found += field_errors(error.errors(include_url=False))


def _call(route: APIRoute, strict: bool) -> Call | None:
    if Call.can(route):
        return Call(route, strict=strict)
    if strict:
        guard(route)
    return None


async def _content(request: Request) -> bytes:
    try:
        content = await request.body()
    except ClientDisconnect:
        raise Invalid([FieldError("body", "is not complete")]) from None
    if not content:
        raise Invalid([FieldError("body", "is required")])
    return content


def _answers_response(endpoint: Callable[..., Any]) -> bool:
    answer = inspect.signature(endpoint, eval_str=True).return_annotation
    return isinstance(answer, type) and issubclass(answer, Response)


def _beyond_query(dependant: Dependant) -> bool:
    return bool(
        dependant.header_params
        or dependant.cookie_params
        or dependant.response_param_name
        or dependant.background_tasks_param_name
        or dependant.security_scopes_param_name
        or dependant.http_connection_param_name
    )


def _plain(dependant: Dependant) -> bool:
    """A dependency of the request alone, or of query parameters; a generator has to end before the answer leaves."""
    call, query = dependant.call, dependant.query_params
    if call is None or dependant.name is None or dependant.dependencies or _beyond_query(dependant):
        return False
    if len(inspect.signature(call).parameters) != (len(query) or 1):
        return False
    if query:
        return Parameters.can(query) and _is_coroutine(call)
    ends_in_time = inspect.isasyncgenfunction(call) and dependant.scope == "function"
    return dependant.request_param_name is not None and (_is_coroutine(call) or ends_in_time)


def _is_coroutine(call: Callable[..., Any]) -> bool:
    """Of a function, or of an object that is called like one."""
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__)
