"""The one middleware around every request, in pure ASGI.

It does in one pass what would otherwise be a stack of them: request id and trace context (in, out, into the logs), the
body's limit and content type, HEAD as GET, the access line, the metrics, and the answer to what nobody expected. A
route that needs no framework has it around itself, and the framework for all others.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import bodies, correlation, logs, tracing
from chassis.classification import answer_to
from chassis.cycle import WHOLE
from chassis.direct import Call
from chassis.errors import FieldError, Invalid, PayloadTooLarge, PlatformError
from chassis.http import BODY_LIMIT, HEADERS, JsonResponse, problem_response
from chassis.proxies import Networks

log = logs.logger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that are counted by their names."""

QUIET = ("/actuator/",)
"""Paths whose successful answers leave no access line: probes would drown the rest."""

NOT_KEPT = (b"cache-control", b"no-store")
"""On every answer that says nothing itself: they are about people, or hold a token."""


WHOLE_RESPONSES = frozenset({Response, JsonResponse})
"""Those that are one body and nothing else."""


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
        body_limit: int = BODY_LIMIT,
        forms: str | None = None,
    ) -> None:
        self._app = app
        self.trusted = trusted
        self.draining = draining
        self.observe = observe
        self.body_limit = body_limit
        self.forms = forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request the framework's way."""
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run(self._app)
        else:
            await self._app(scope, receive, send)

    def straight(self, call: Call, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handles one request by the route that answers it."""
        return _Exchange(self, scope, receive, send).run(call)


class _Exchange:
    """One request and its answer."""

    __slots__ = ("_edge", "_head", "_ids", "_read", "_receive", "_scope", "_send", "_status")

    def __init__(self, edge: Edge, scope: Scope, receive: Receive, send: Send) -> None:
        self._edge = edge
        self._scope = scope
        self._receive = receive
        self._send = send
        self._head = scope["method"] == "HEAD"
        self._status = 0
        self._read = 0

    async def run(self, way: Call | ASGIApp) -> None:
        scope = self._scope
        headers = scope[HEADERS] = dict(scope["headers"])
        self._ids = correlation.ids_from(_text(headers.get(b"x-request-id")), _text(headers.get(b"traceparent")))
        token = correlation.bind(self._ids)
        started = time.perf_counter()
        try:
            if b"x-forwarded-prefix" in headers:
                scope.setdefault("state", {})["prefix"] = self._prefix(headers)
            if self._head:
                scope = self._scope = {**scope, "method": "GET"}  # the server's own still says HEAD
            if refused := self._refused(headers):
                await self._respond(self._problem(refused))
            elif isinstance(way, Call):
                await self._respond(await way(Request(scope, self._limited_receive)))
            else:
                await way(scope, self._limited_receive, self._send_with_ids)
        except PlatformError as error:
            await self._respond(self._problem(error))
        except Exception as error:
            log.error("request failed", exc_info=True)
            if self._status:
                raise
            await self._respond(self._problem(answer_to(error)))
        finally:
            self._tell(time.perf_counter() - started)
            correlation.unbind(token)

    def _prefix(self, headers: Mapping[bytes, bytes]) -> str:
        given, client = headers[b"x-forwarded-prefix"], self._scope.get("client")
        if not client or client[0] not in self._edge.trusted:
            return ""
        return given.decode("latin-1").rstrip("/") if given.startswith(b"/") and len(given) <= 128 else ""

    def _refused(self, headers: Mapping[bytes, bytes]) -> PlatformError | None:
        scope, forms = self._scope, self._edge.forms
        if not _is_text(scope.get("raw_path", b"")):
            return Invalid([FieldError("path", "must be UTF-8")])
        # Where a query is read strictly, the parameter is named.
        if (forms or scope["path"].startswith(QUIET)) and not _is_text(scope.get("query_string", b"")):
            return Invalid([FieldError("query", "must be UTF-8")])
        form = forms is not None and scope["path"].startswith(forms)
        return bodies.refused(scope["method"], headers, self._edge.body_limit, form=form)

    async def _limited_receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._edge.body_limit:
                raise PayloadTooLarge(self._edge.body_limit)
        return message

    async def _respond(self, response: Response) -> None:
        whole = type(response) in WHOLE_RESPONSES and response.background is None
        if not whole or WHOLE not in self._scope.get("extensions", ()):
            await response(self._scope, self._receive, self._send_with_ids)
            return
        await self._send(
            {
                "type": WHOLE,
                "status": response.status_code,
                "headers": self._headers(response.raw_headers),
                "body": b"" if self._head else response.body,
                "close": self._edge.draining.now,
            }
        )
        self._status = response.status_code  # not before: what cannot be sent is answered by a 500

    async def _send_with_ids(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = self._headers(message.get("headers", ()))
            if self._edge.draining.now:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif self._head:
            message = {**message, "body": b""}
        await self._send(message)

    def _headers(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        headers = [*given, (b"x-request-id", self._ids.request_id.encode())]
        if b"cache-control" not in dict(headers):
            headers.append(NOT_KEPT)
        return headers

    def _problem(self, error: PlatformError) -> Response:
        return problem_response(error, self._scope["path"], self._scope.get("state", {}).get("prefix", ""))

    def _tell(self, seconds: float) -> None:
        if self._status < 400 and self._scope["path"].startswith(QUIET):
            return
        route = self._scope.get("route")
        template = getattr(route, "path", "none")
        method = "HEAD" if self._head else self._scope["method"]
        method = method if method in METHODS else "other"
        self._edge.observe(method if template != "none" else "any", template, self._status, seconds)
        logs.access(method, template, self._status, seconds)
        if tracing.on() and self._ids.sampled:
            tracing.record_request(method, template, self._status, self._ids, seconds)


def _is_text(quoted: bytes) -> bool:
    """Whether what is percent-encoded is UTF-8; otherwise characters would be replaced, and another text be meant."""
    if b"%" not in quoted and quoted.isascii():
        return True
    try:
        unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value is not None else None
