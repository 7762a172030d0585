"""gRPC as a service serves it: a Part with the standard health service, status codes, metrics and the caller's ids."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import Counter, Histogram

from chassis import correlation, logs, tracing
from chassis.actuator import Health
<<<<<<< HEAD
from chassis.again import once_more
from chassis.classification import answer_to
from chassis.errors import PlatformError
from chassis.rpc import code_of
=======
from chassis.errors import Invalid, PlatformError
from chassis.rpc import RETRY_AFTER, code_of
>>>>>>> 022e6c5 (fix(chassis,gateway): a service reads HTTP as strictly as the gateway, with its deadlines; no client holds more than an eighth of the connections)

log = logs.logger(__name__)

LARGEST_MESSAGE = 65_536  # bytes of a request
STREAMS = 128  # calls at a time on one connection
CALLS_AT_ONCE = 1024  # and of all; further ones get RESOURCE_EXHAUSTED at once

HANDLED = Counter("grpc_server_handled_total", "Calls answered", ["method", "code"])
SECONDS = Histogram("grpc_server_handling_seconds", "Time to answer a call", ["method"])


class GrpcServer:
    """A Part of role "api": gRPC with the standard health service, and reflection when asked to.

    `register` adds the servicers; `services` are their full names (`billing.BillingService`).
    Connections are closed in order after `max_connection_age` seconds, so that clients meet new replicas.
    """

    name = "grpc"
    role = "api"
    critical = False

    def __init__(
        self,
        *,
        host: str,
        port: int,
        register: Callable[[grpc.aio.Server], None],
        services: Sequence[str],
        reflects: bool = False,
        max_connection_age: float = 300.0,
        stop_seconds: float = 5.0,
    ) -> None:
        self._address = f"{host}:{port}"
        self._register = register
        self._services = services
        self._reflects = reflects
        self._age = int(max_connection_age * 1000)
        self._stop_seconds = stop_seconds
        self._server: grpc.aio.Server | None = None
        self._health: Any = None

    async def start(self) -> None:
        """Bind and serve; RuntimeError when the port is taken."""
        options = [
            ("grpc.max_connection_age_ms", self._age),
            ("grpc.max_connection_age_grace_ms", 30_000),
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            ("grpc.max_concurrent_streams", STREAMS),
        ]
        server = grpc.aio.server(
            interceptors=[_ServerContext()], options=options, maximum_concurrent_rpcs=CALLS_AT_ONCE
        )
        self._register(server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if self._reflects:
            reflection.enable_server_reflection([*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
        server.add_insecure_port(self._address)
        await server.start()
        for service in ("", *self._services):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self._server = server

    async def stop(self) -> None:
        """Say NOT_SERVING, let calls in flight finish, then close."""
        if self._server is not None:
            await self._health.enter_graceful_shutdown()
            await self._server.stop(self._stop_seconds)
            self._server = None

    async def health(self) -> Health:
        """Up while serving."""
        return Health(up=self._server is not None, details={"services": list(self._services)})


_MALFORMED = object()
"""Stands for a request whose bytes are no message of its type."""
_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class _ServerContext(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc ships no types
    """Binds the caller's ids, renders errors as statuses, and counts, for calls of all four kinds."""

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> grpc.RpcMethodHandler:
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
            return await behaviour(_sound(request, many), context)

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
<<<<<<< HEAD
    try:
        return await once_more(lambda: behaviour(request, context))
    except asyncio.CancelledError:
        code = grpc.StatusCode.CANCELLED  # the caller's deadline has passed, or the caller has gone
        raise
    except PlatformError as error:
        code = code_of(error)
        return await context.abort(code, error.detail)
    except Exception as error:
        answer = answer_to(error)
        code = code_of(answer)
        log.exception("call failed", method=method)
        return await context.abort(code, "internal error" if answer.status == 500 else answer.detail)
    finally:
        took = time.perf_counter() - began
        HANDLED.labels(method, code.name).inc()
        SECONDS.labels(method).observe(took)
        about = {"rpc.system": "grpc", "rpc.grpc.status_code": code.value[0]}
        tracing.record(method.lstrip("/"), "server", ids, took, about, failed=code is grpc.StatusCode.INTERNAL)
=======
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
        except Exception:
            code = grpc.StatusCode.INTERNAL
            log.exception("call failed", method=method)
            await context.abort(code, "internal error")
        finally:
            took = time.perf_counter() - began
            HANDLED.labels(method, code.name).inc()
            SECONDS.labels(method).observe(took)
            about = {"rpc.system": "grpc", "rpc.grpc.status_code": code.value[0]}
            tracing.record(method.lstrip("/"), "server", ids, took, about, failed=code is grpc.StatusCode.INTERNAL)
>>>>>>> 022e6c5 (fix(chassis,gateway): a service reads HTTP as strictly as the gateway, with its deadlines; no client holds more than an eighth of the connections)


def _texts(metadata: Any) -> Mapping[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}
