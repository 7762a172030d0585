"""A whole answer leaves in one write, and is what ASGI's messages would have made of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from chassis.app import create_app
from chassis.http import JsonResponse
from chassis.settings import ServiceSettings
from chassis.testing import eventually, serve
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

LONG = b'"' + b"a" * 1_000_000 + b'"'


def service(answered: list[str], **limits: float) -> FastAPI:
    """`/framework` goes the framework's way, all others are called straight and noted when they are."""
    router = APIRouter()

    def answers(path: str, response: Callable[[], Response]) -> None:
        async def endpoint(request: Request) -> Response:
            answered.append(path)
            return response()

        router.add_api_route(path, endpoint, methods=["GET"])

    answers("/small", lambda: JsonResponse({"a": 1}, etag=7))
    answers("/long", lambda: JsonResponse(LONG))
    answers("/nothing", lambda: Response(status_code=204))
    answers("/split", lambda: JsonResponse({}, headers={"X-Said": "a\r\nSet-Cookie: b=c"}))

    @router.get("/framework")
    async def framework(of: str = "") -> dict[str, Any]:
        return {"of": of}

    return create_app(ServiceSettings(**limits), routers=[router])


@pytest.fixture
def answered() -> list[str]:
    return []


@pytest.fixture
async def port(answered: list[str]) -> AsyncIterator[int]:
    async with serve(service(answered), server_header=False) as url:
        yield int(url.rpartition(":")[2])


async def exchange(port: int, sent: bytes) -> bytes:
    """All that came back until the connection was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


def get(path: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: me", *fields, "", ""]).encode()


def parsed(answer: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    return status, dict(line.split(b": ", 1) for line in lines), body


async def test_the_short_way_says_what_the_long_one_says(port: int) -> None:
    status, headers, body = parsed(await exchange(port, get("/small", "Connection: close", "X-Request-ID: mine")))
    assert (status, json.loads(body)) == (b"HTTP/1.1 200 OK", {"a": 1})
    assert headers.pop(b"date")
    assert headers == {
        b"content-length": b"7",
        b"content-type": b"application/json",
        b"etag": b'"7"',
        b"x-request-id": b"mine",
        b"cache-control": b"no-store",
        b"connection": b"close",
    }
    _, others, _ = parsed(await exchange(port, get("/framework", "Connection: close", "X-Request-ID: mine")))
    assert headers.keys() - {b"etag"} == others.keys() - {b"date"}


@pytest.mark.parametrize(
    ("request_", "status", "length", "body"),
    [
        pytest.param(get("/small", "Connection: close", method="HEAD"), b"200 OK", b"7", b"", id="HEAD"),
        pytest.param(get("/small", version="1.0"), b"200 OK", b"7", b'{"a":1}', id="HTTP/1.0 is one request"),
        pytest.param(get("/nothing", "Connection: close"), b"204 No Content", None, b"", id="204"),
    ],
)
async def test_framing(port: int, request_: bytes, status: bytes, length: bytes | None, body: bytes) -> None:
    first, headers, rest = parsed(await exchange(port, request_))
    assert (first.partition(b" ")[2], headers.get(b"content-length"), rest) == (status, length, body)
    assert headers[b"connection"] == b"close"


async def test_a_header_with_a_line_end_is_a_500_and_no_second_header(port: int) -> None:
    status, headers, body = parsed(await exchange(port, get("/split", "Connection: close")))
    assert status.split()[1] == b"500"
    assert headers[b"content-type"] == b"application/problem+json"
    assert json.loads(body)["title"] == "Internal Server Error"
    assert b"set-cookie" not in headers


async def test_a_client_that_reads_late_gets_every_answer_in_order(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        paths = ["/long", "/small", "/framework", "/nothing"] * 8
        writer.write(b"".join(map(get, paths)) + get("/small", "Connection: close"))
        await writer.drain()
        async with asyncio.timeout(60):
            got = await reader.read()
    finally:
        writer.close()
    assert [part[:3] for part in got.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200", b"204"] * 8 + [b"200"]
    assert got.count(LONG) == 8
    assert got.endswith(b'{"a":1}')


async def test_a_client_that_does_not_read_is_waited_for(port: int, answered: list[str]) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(get("/long") * 200)
        await eventually(lambda: "/long" in answered, within=30)
        for _turn in range(50):
            await exchange(port, get("/small", "Connection: close"))
        assert answered.count("/long") < 200  # more than any socket holds
    finally:
        writer.transport.abort()


async def test_an_idle_connection_is_closed_and_one_at_work_is_not() -> None:
    app = service([], idle_timeout_seconds=1)
    release, waiting = asyncio.Event(), asyncio.Event()

    @app.get("/wait")
    async def wait() -> dict[str, bool]:
        waiting.set()
        await release.wait()
        return {"waited": True}

    async with serve(app) as url, asyncio.timeout(60):
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get("/small"))
        await reader.readuntil(b'{"a":1}')
        writer.write(get("/wait"))
        await waiting.wait()
        assert (await exchange(port, get("/small"))).endswith(b'{"a":1}')  # and then a second without a request
        release.set()
        assert (await reader.read()).endswith(b'{"waited":true}')
        writer.close()
