"""What stands around each gRPC call that a service answers: the caller's ids, statuses for errors, and metrics."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from prometheus_client import Counter, Histogram

from chassis import correlation, logs, tracing
from chassis.again import once_more
from chassis.classification import answer_to
from chassis.errors import Invalid, PlatformError
from chassis.rpc import RETRY_AFTER, code_of

log = logs.logger(__name__)

HANDLED = Counter("grpc_server_handled_total", "Calls answered", ["method", "code"])
SECONDS = Histogram("grpc_server_handling_seconds", "Time to answer a call", ["method"])

_MALFORMED = object()
"""Stands for a request whose bytes are no message of its type."""
_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class ServerContext(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc ships no types
    """Binds the caller's ids, renders errors as statuses, and counts, for calls of all four kinds."""

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> grpc.RpcMethodHandler:
        """The handler with all that around it, or None where there is no such method."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        kind = next(each for each in _KINDS if getattr(handler, each))
        wrap = _streaming if kind.endswith("stream") else _answering
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(
            wrap(handler_call_details.method, getattr(handler, kind), kind.startswith("stream")),
            request_deserializer=_reading(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )


def _reading(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """What cannot be read is noted, not raised: gRPC would answer UNKNOWN with the name of a Python class."""
    if deserialize is None:
        return None

    def read(raw: bytes) -> Any:
        try:
            return deserialize(raw)
        except Exception:
            return _MALFORMED

    return read


def _answering(method: str, behaviour: Callable[..., Any], many: bool) -> Callable[[Any, Any], Awaitable[Any]]:
    async def behave(request: Any, context: Any) -> Any:
        async with _rendered(method, context):
            if many:  # a stream cannot be read twice
                return await behaviour(_sound(request, many), context)
            return await once_more(lambda: behaviour(_sound(request, many), context))

    return behave


def _streaming(method: str, behaviour: Callable[..., Any], many: bool) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def behave(request: Any, context: Any) -> AsyncIterator[Any]:
        async with _rendered(method, context):
            answers = behaviour(_sound(request, many), context)
            if not inspect.isasyncgen(answers):
                await answers  # it writes to the context itself
                return
            async for answer in answers:
                yield answer

    return behave


def _sound(request: Any, many: bool) -> Any:
    """The request or the stream of them; Invalid where one cannot be read."""
    if many:
        return _each_sound(request)
    if request is _MALFORMED:
        raise Invalid("the request is malformed")
    return request


async def _each_sound(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _sound(request, False)


@asynccontextmanager
async def _rendered(method: str, context: Any) -> AsyncIterator[None]:
    """Around one call: its ids, its status, its count."""
    began, code = time.perf_counter(), grpc.StatusCode.OK
    with correlation.message_context(_texts(context.invocation_metadata())) as ids:
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            code = grpc.StatusCode.CANCELLED  # the caller's deadline has passed, or the caller has gone
            raise
        except grpc.aio.AbortError:  # the servicer has given its status itself
            code = context.code() or grpc.StatusCode.UNKNOWN
            raise
        except PlatformError as error:
            code = code_of(error)
            after = error.headers.get("Retry-After")
            await context.abort(code, error.detail, ((RETRY_AFTER, after),) if after else ())
        except Exception as error:
            answer = answer_to(error)
            code = code_of(answer)
            log.exception("call failed", method=method)
            await context.abort(code, "internal error" if answer.status == 500 else answer.detail)
        finally:
            took = time.perf_counter() - began
            HANDLED.labels(method, code.name).inc()
            SECONDS.labels(method).observe(took)
            about = {"rpc.system": "grpc", "rpc.grpc.status_code": code.value[0]}
            tracing.record(method.lstrip("/"), "server", ids, took, about, failed=code is grpc.StatusCode.INTERNAL)


def _texts(metadata: Any) -> Mapping[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}
