"""gRPC as a service serves it: a Part with the standard health service, status codes, metrics and the caller's ids."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from chassis import logs
from chassis.actuator import Health
from chassis.interceptor import ServerContext
from chassis.listening import plain

log = logs.logger(__name__)

LARGEST_MESSAGE = 65_536  # bytes of a request
STREAMS = 128  # calls at a time on one connection
CALLS_AT_ONCE = 1024  # and of all; further ones get RESOURCE_EXHAUSTED at once


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
        host = plain(host)
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"  # `[::]` is every address, of IPv4 too
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
        server = grpc.aio.server(interceptors=[ServerContext()], options=options, maximum_concurrent_rpcs=CALLS_AT_ONCE)
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
