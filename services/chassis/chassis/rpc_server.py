"""gRPC as a service serves it: a Part with the standard health service, status codes, metrics and the caller's ids."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import Counter, Histogram

from chassis import correlation, logs, tracing
from chassis.actuator import Health
from chassis.again import once_more
from chassis.classification import answer_to
from chassis.errors import PlatformError
from chassis.rpc import code_of

log = logs.logger(__name__)

HANDLED = Counter("grpc_server_handled_total", "Calls answered", ["method", "code"])
SECONDS = Histogram("grpc_server_handling_seconds", "Time to answer a call", ["method"])


class GrpcServer:
    """A Part of role "api" that serves gRPC with the standard health service, and reflection when asked to.

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
        ]
        server = grpc.aio.server(interceptors=[_ServerContext()], options=options)
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


class _ServerContext(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc ships no types
    """Binds the caller's ids, renders errors as statuses, and counts."""

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> grpc.RpcMethodHandler:
        handler = await continuation(handler_call_details)
        if handler is None or not handler.unary_unary:
            return handler
        method = handler_call_details.method

        async def behave(request: Any, context: grpc.aio.ServicerContext) -> Any:
            with correlation.message_context(_texts(context.invocation_metadata())) as ids:
                return await _answer(method, handler.unary_unary, request, context, ids)

        return grpc.unary_unary_rpc_method_handler(
            behave, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )


async def _answer(
    method: str, behaviour: Callable[..., Awaitable[Any]], request: Any, context: Any, ids: correlation.Ids
) -> Any:
    began, code = time.perf_counter(), grpc.StatusCode.OK
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


def _texts(metadata: Any) -> Mapping[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}
