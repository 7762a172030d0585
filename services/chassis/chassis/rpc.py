"""gRPC as a service calls it: channels, deadlines, the ids that travel along, and how statuses map to errors."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import grpc
import grpc.aio

from chassis import correlation, tracing
from chassis.classification import Verdict, of_grpc
from chassis.errors import (
    Busy,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PlatformError,
    PreconditionFailed,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

_CODES: Sequence[tuple[type[PlatformError], grpc.StatusCode]] = (
    (Invalid, grpc.StatusCode.INVALID_ARGUMENT),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (Forbidden, grpc.StatusCode.PERMISSION_DENIED),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (Conflict, grpc.StatusCode.ALREADY_EXISTS),
    (PreconditionFailed, grpc.StatusCode.FAILED_PRECONDITION),
    (TooManyRequests, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Busy, grpc.StatusCode.RESOURCE_EXHAUSTED),  # a deliberate refusal: the neighbour is well
    (Unavailable, grpc.StatusCode.UNAVAILABLE),
)
RETRY_AFTER = "retry-after"
"""Trailing metadata: whole seconds, as in HTTP."""


def code_of(error: Exception) -> grpc.StatusCode:
    """The status that says to a gRPC client what the error's HTTP status says to a web client."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return grpc.StatusCode.INTERNAL


def channel(address: str) -> grpc.aio.Channel:
    """A channel to every replica behind a name (`host:port`): round robin over what DNS answers, ids on every call.

    It reconnects within a second of the server's return. gRPC itself repeats only what never reached a server (a
    connection that grew old); every other retry is the caller's, with chassis.resilience.
    """
    options = [
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.enable_http_proxy", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.dns_min_time_between_resolutions_ms", 5000),
    ]
    target = address if "://" in address else f"dns:///{address}"
    return grpc.aio.insecure_channel(target, options=options, interceptors=[_ClientContext()])


class _ClientContext(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpc ships no types
    """Sends the current request id and traceparent as metadata."""

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: Any, request: Any
    ) -> Any:
        metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()), *correlation.outgoing_headers().items())
        return await continuation(client_call_details._replace(metadata=metadata), request)


class Method(Protocol):
    """A stub's method."""

    def __call__(self, request: Any, *, timeout: float) -> Awaitable[Any]:
        """Start the call."""


async def call(method: Method, request: Any, *, what: str, within: float) -> Any:
    """Call once, `within` so many seconds; the server sees the deadline too.

    Raises Busy(what) where the server refused on purpose, Unavailable(what) where another try may help, and
    PlatformError(502) with the status name where it cannot.
    """
    name = getattr(method, "_method", what.encode()).decode().lstrip("/")
    try:
        with tracing.child(name, {"rpc.system": "grpc"}):
            return await method(request, timeout=within)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            raise Busy(what, _retry_after(error)) from None
        if of_grpc(error.code().name) is Verdict.WORLD:
            raise Unavailable(what) from None
        raise PlatformError(502, "bad-gateway", "Bad Gateway", f"{what} answered {error.code().name}") from None


def _retry_after(error: grpc.aio.AioRpcError) -> float:
    said = dict(error.trailing_metadata() or ()).get(RETRY_AFTER, "")
    return float(said) if isinstance(said, str) and said.isdigit() and len(said) < 6 else 1.0
