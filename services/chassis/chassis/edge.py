"""The one middleware around every request, in pure ASGI.

It does in one pass what would otherwise be a stack of them: request id and trace context (in, out, into the logs), the
body's limit and content type, HEAD as GET, the access line, the metrics, the answer to what nobody expected, and the
straight way to the routes that need no framework.
"""

import time
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import bodies, telemetry, tracing
from chassis.direct import Direct
from chassis.errors import PayloadTooLarge, PlatformError
from chassis.http import BODY_LIMIT, problem_response
from chassis.proxies import Networks

log = telemetry.logger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that are counted by their names."""

QUIET = ("/actuator/",)
"""Paths whose successful answers leave no access line: probes would drown the rest."""

NOT_KEPT = (b"cache-control", b"no-store")
"""On every answer that says nothing itself: they are about people, or hold a token."""


class Draining:
    """Whether the process is about to go: then every answer asks for the connection to be closed."""

    def __init__(self) -> None:
        self.now = False


Observe = Callable[[str, str, int, float], None]
"""Told of every request: method (`other`: none of METHODS), route template, status, seconds.

Where no route matched the method is `any` and the template `none`.
"""


class Edge:
    """The outermost middleware; pure ASGI."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        trusted: Networks,
        draining: Draining,
        observe: Observe,
        direct: Direct,
        body_limit: int = BODY_LIMIT,
        forms: str | None = None,
    ) -> None:
        self._app = app
        self._direct = direct
        self._forms = forms
        self._observe = observe
        self._trusted = trusted
        self._draining = draining
        self._limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(self._app, scope, receive, send, self._limit, self._draining, self._forms)
        await exchange.run(self._trusted, self._observe, self._direct)


class _Exchange:
    """One request and its answer."""

    __slots__ = (
        "_app",
        "_draining",
        "_form",
        "_head",
        "_ids",
        "_limit",
        "_read",
        "_receive",
        "_scope",
        "_send",
        "_status",
    )

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
        limit: int,
        draining: Draining,
        forms: str | None,
    ) -> None:
        self._app = app
        self._form = forms is not None and scope["path"].startswith(forms)
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = limit
        self._draining = draining
        self._head = scope["method"] == "HEAD"
        self._status = 0
        self._read = 0

    async def run(self, trusted: Networks, observe: Observe, direct: Direct) -> None:
        headers = {name: value for name, value in self._scope["headers"]}  # noqa: C416 - the last one wins
        self._ids = telemetry.ids_from(_text(headers.get(b"x-request-id")), _text(headers.get(b"traceparent")))
        token = telemetry.bind(self._ids)
        started = time.perf_counter()
        try:
            self._scope.setdefault("state", {})["prefix"] = self._prefix(headers, trusted)
            if self._head:
                self._scope = {**self._scope, "method": "GET"}  # the server's own still says HEAD
            if refused := bodies.refused(self._scope["method"], headers, self._limit, form=self._form):
                await self._answer(refused)
            elif call := direct.find(self._scope):
                response = await call(Request(self._scope, self._limited_receive))
                await response(self._scope, self._receive, self._send_with_ids)
            else:
                await self._app(self._scope, self._limited_receive, self._send_with_ids)
        except PlatformError as error:
            await self._answer(error)
        except Exception:
            log.error("request failed", exc_info=True)
            if self._status:
                raise
            await self._answer(PlatformError(500, "internal", "Internal Server Error", "something went wrong"))
        finally:
            self._tell(time.perf_counter() - started, observe)
            telemetry.unbind(token)

    def _prefix(self, headers: Mapping[bytes, bytes], trusted: Networks) -> str:
        given = headers.get(b"x-forwarded-prefix")
        client = self._scope.get("client")
        if not given or not client or client[0] not in trusted:
            return ""
        return given.decode("latin-1").rstrip("/") if given.startswith(b"/") and len(given) <= 128 else ""

    async def _limited_receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._limit:
                raise PayloadTooLarge(self._limit)
        return message

    async def _send_with_ids(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self._ids.request_id.encode())]
            if all(name != b"cache-control" for name, _ in headers):
                headers.append(NOT_KEPT)
            if self._draining.now:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif self._head:
            message = {**message, "body": b""}
        await self._send(message)

    async def _answer(self, error: PlatformError) -> None:
        instance = self._scope["state"]["prefix"] + self._scope["path"]
        await problem_response(error, instance)(self._scope, self._receive, self._send_with_ids)

    def _tell(self, seconds: float, observe: Observe) -> None:
        if self._status < 400 and self._scope["path"].startswith(QUIET):
            return
        route = self._scope.get("route")
        template = getattr(route, "path", "none")
        method = "HEAD" if self._head else self._scope["method"]
        method = method if method in METHODS else "other"
        observe(method if template != "none" else "any", template, self._status, seconds)
        telemetry.access(method, template, self._status, seconds)
        if tracing.on() and self._ids.sampled:
            tracing.record_request(method, template, self._status, self._ids, seconds)


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value is not None else None
