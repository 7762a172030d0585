"""gRPC plumbing on a real server: ids, statuses, deadlines, retries, and servers that come back."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from chassis import correlation, rpc
from chassis.errors import (
    Busy,
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    PlatformError,
    TooManyRequests,
    Unavailable,
)
from chassis.resilience import Breaker, Rejected, Retry, State
from chassis.rpc_server import LARGEST_MESSAGE, GrpcServer
from chassis.testing import eventually, free_port
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import REGISTRY

Behaviour = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]


def server(port: int, behaviour: Behaviour, handler: Any = None, **options: Any) -> GrpcServer:
    handlers = {"Do": handler or grpc.unary_unary_rpc_method_handler(behaviour)}

    def register(grpc_server: grpc.aio.Server) -> None:
        grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))

    return GrpcServer(host="127.0.0.1", port=port, register=register, services=["test.Service"], **options)


@asynccontextmanager
async def serving(behaviour: Behaviour, **options: Any) -> AsyncIterator[rpc.Method]:
    port = free_port()
    part = server(port, behaviour, **options)
    await part.start()
    try:
        async with rpc.channel(f"127.0.0.1:{port}") as channel:
            yield channel.unary_unary("/test.Service/Do")
    finally:
        await part.stop()


async def echo(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    return request


async def test_a_call_is_answered() -> None:
    async with serving(echo) as method:
        assert await rpc.call(method, b"hello", what="test", within=5) == b"hello"


@pytest.mark.contract("O14")
async def test_request_id_and_trace_travel_with_the_call() -> None:
    async def behaviour(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        ids = correlation.current()
        return f"{ids.request_id} {ids.trace_id}".encode()

    async with serving(behaviour) as method:
        with correlation.message_context({"x-request-id": "r-42", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}):
            assert await rpc.call(method, b"", what="test", within=5) == f"r-42 {'a' * 32}".encode()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Invalid([FieldError("name", "must not be blank")]), grpc.StatusCode.INVALID_ARGUMENT),
        (NotFound("patient"), grpc.StatusCode.NOT_FOUND),
        (Conflict("email is taken", "email"), grpc.StatusCode.ALREADY_EXISTS),
        (Forbidden(), grpc.StatusCode.PERMISSION_DENIED),
        (Unavailable("database"), grpc.StatusCode.UNAVAILABLE),
        (Busy("hashing"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (TooManyRequests(3), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
async def test_an_error_of_ours_becomes_its_status(error: PlatformError, code: grpc.StatusCode) -> None:
    async def behaviour(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        raise error

    async with serving(behaviour) as method:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(b"", timeout=5)
    assert caught.value.code() is code


@pytest.mark.contract("Z04")
@pytest.mark.parametrize("refusal", [Busy("hashing", 7), Rejected("its bulkhead", 7), TooManyRequests(7)])
async def test_a_refusal_made_on_purpose_moves_no_breaker_and_is_not_tried_again(refusal: PlatformError) -> None:
    asked, breaker = 0, Breaker("refusals")

    async def behaviour(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        nonlocal asked
        asked += 1
        raise refusal

    async with serving(behaviour) as method:

        async def once() -> Any:
            async with breaker:
                return await rpc.call(method, b"", what="test", within=5)

        for _ in range(20):
            with pytest.raises(Busy) as caught:
                await Retry("refusals")(once)
    assert caught.value.headers["Retry-After"] == "7"
    assert (asked, breaker.state) == (20, State.CLOSED)


def never_read(raw: bytes) -> bytes:
    raise ValueError("Jane Canary")


@pytest.mark.contract("Z04")
@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream", "stream_unary", "stream_stream"])
@pytest.mark.parametrize(
    ("reads", "raises", "code"),
    [
        (False, None, grpc.StatusCode.INVALID_ARGUMENT),
        (True, NotFound("patient"), grpc.StatusCode.NOT_FOUND),
        (True, RuntimeError("Jane Canary"), grpc.StatusCode.INTERNAL),
    ],
    ids=["malformed bytes", "an error of ours", "any other error"],
)
async def test_no_kind_of_call_tells_what_went_wrong_inside(
    kind: str, reads: bool, raises: Exception | None, code: grpc.StatusCode
) -> None:
    async def one(requests: Any, context: grpc.aio.ServicerContext) -> bytes:
        async for _ in requests if kind.startswith("stream") else _nothing():
            pass
        raise raises or AssertionError

    async def many(requests: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        yield await one(requests, context)

    make = getattr(grpc, f"{kind}_rpc_method_handler")
    handler = make(many if kind.endswith("stream") else one, request_deserializer=None if reads else never_read)
    count = {"method": "/test.Service/Do", "code": code.name}
    before = REGISTRY.get_sample_value("grpc_server_handled_total", count) or 0
    port = free_port()
    part = server(port, echo, handler=handler)
    await part.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = getattr(channel, kind)("/test.Service/Do")
        answer = call(iter([b"\xff"]) if kind.startswith("stream") else b"\xff", timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (answer.read() if kind.endswith("stream") else answer)
    await part.stop()
    assert caught.value.code() is code
    assert not any(word in caught.value.details() for word in ("Canary", "Error", "<class", "Exception"))
    await eventually(lambda: (REGISTRY.get_sample_value("grpc_server_handled_total", count) or 0) == before + 1)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield


@pytest.mark.contract("Z04")
async def test_a_message_beyond_its_limit_is_refused_and_an_unknown_health_service_is_not_found() -> None:
    port = free_port()
    part = server(port, echo)
    await part.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as large:
            await channel.unary_unary("/test.Service/Do")(b"x" * (LARGEST_MESSAGE + 1), timeout=5)
        request = health_pb2.HealthCheckRequest(service="nobody.Service")
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as malformed:
            await channel.unary_unary("/grpc.health.v1.Health/Check")(b"\xff\xff", timeout=5)
    await part.stop()
    assert large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    assert malformed.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_unexpected_error_tells_the_caller_nothing() -> None:
    async def behaviour(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        raise RuntimeError("Jane Canary")

    async with serving(behaviour) as method:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "internal error"


@pytest.mark.contract("B05")
async def test_a_slow_server_meets_the_deadline() -> None:
    gate = asyncio.Event()

    async def behaviour(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await gate.wait()
        return b""

    async with serving(behaviour) as method:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await rpc.call(method, b"", what="test", within=0.2)
        assert time.monotonic() - began < 2
        labels = {"method": "/test.Service/Do", "code": "CANCELLED"}
        await eventually(lambda: REGISTRY.get_sample_value("grpc_server_handled_total", labels))


@pytest.mark.contract("B05")
async def test_a_flaky_server_is_asked_again() -> None:
    asked = 0

    async def behaviour(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise Unavailable("database")
        return b"done"

    async with serving(behaviour) as method:
        assert await Retry(wait=0.01)(lambda: rpc.call(method, b"", what="test", within=5)) == b"done"
    assert asked == 3


async def test_what_another_try_cannot_help_is_a_bad_gateway() -> None:
    async def behaviour(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        raise Invalid([FieldError("name", "must not be blank")])

    async with serving(behaviour) as method:
        with pytest.raises(PlatformError) as caught:
            await rpc.call(method, b"", what="billing", within=5)
    assert not isinstance(caught.value, Unavailable)
    assert caught.value.status == 502


async def test_a_server_that_comes_back_is_found_within_seconds() -> None:
    port = free_port()
    async with rpc.channel(f"127.0.0.1:{port}") as channel:
        method = channel.unary_unary("/test.Service/Do")
        with pytest.raises(Unavailable):
            await rpc.call(method, b"", what="test", within=2)
        part = server(port, echo)
        await part.start()

        async def answered() -> bool:
            try:
                return bool(await rpc.call(method, b"back", what="test", within=1))
            except Unavailable:
                return False

        try:
            await eventually(answered, within=5)
        finally:
            await part.stop()


async def test_connections_grow_old_without_failing_a_call() -> None:
    peers = set()

    async def behaviour(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        peers.add(context.peer())
        return b""

    async with serving(behaviour, max_connection_age=0.2) as method:

        async def tenth_connection() -> bool:
            await rpc.call(method, b"", what="test", within=5)
            return len(peers) >= 10

        await eventually(tenth_connection, within=30, every=0.001)


async def test_a_stop_lets_the_call_in_flight_finish() -> None:
    began, gate = asyncio.Event(), asyncio.Event()

    async def behaviour(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        began.set()
        await gate.wait()
        return b"finished"

    port = free_port()
    part = server(port, behaviour)
    await part.start()
    async with rpc.channel(f"127.0.0.1:{port}") as channel:
        call = asyncio.ensure_future(channel.unary_unary("/test.Service/Do")(b"", timeout=10))
        await began.wait()
        stopping = asyncio.create_task(part.stop())
        await asyncio.sleep(0.05)
        gate.set()
        assert await call == b"finished"
        await stopping


async def test_a_taken_port_is_one_clear_error() -> None:
    port = free_port()
    first, second = server(port, echo), server(port, echo)
    await first.start()
    try:
        with pytest.raises(RuntimeError, match=str(port)):
            await second.start()
    finally:
        await first.stop()


async def test_calls_are_counted_by_method_and_code() -> None:
    async with serving(echo) as method:
        await rpc.call(method, b"", what="test", within=5)
    labels = {"method": "/test.Service/Do", "code": "OK"}
    assert (REGISTRY.get_sample_value("grpc_server_handled_total", labels) or 0) >= 1
