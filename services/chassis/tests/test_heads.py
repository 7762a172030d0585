"""The head of a request is limited at each service too: whoever gets past the gateway fills no memory with it."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from chassis.app import create_app
from chassis.settings import ServiceSettings
from chassis.testing import serve
from chassis.wire.asgi import LARGEST_HEAD
from fastapi import APIRouter, Request

START = b"POST /things HTTP/1.1\r\nHost: me\r\n"
TO_THE_BYTE = LARGEST_HEAD - len("/things") - len("hostme") - 4 - len("x-pad") - 4


@pytest.fixture
async def port() -> AsyncIterator[int]:
    router = APIRouter()

    @router.post("/things")
    async def size(request: Request) -> int:
        return len(await request.body())

    async with serve(create_app(ServiceSettings(), routers=[router])) as url:
        yield int(url.rpartition(":")[2])


async def answers(port: int, *pieces: bytes) -> tuple[int, bytes]:
    """The status of the first answer, and all that came until the connection was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(5):
            got = await reader.read()
        return int(got[9:12]), got
    finally:
        writer.close()


def request(*fields: bytes, body: bytes = b"", last: bool = True) -> bytes:
    framing = [b"Content-Type: application/json", b"Content-Length: %d" % len(body)] if body else []
    ending = [b"Connection: close"] if last else []
    return START + b"".join(field + b"\r\n" for field in [*framing, *ending, *fields]) + b"\r\n" + body


@pytest.mark.contract("D20")
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(START + b"X-Pad: " + b"a" * (TO_THE_BYTE + 1) + b"\r\n\r\n", id="one byte too many"),
        pytest.param(START + b"X-Pad: " + b"a" * LARGEST_HEAD, id="a line that does not end"),
        pytest.param(START + b"X: 1\r\n" * 6000, id="many short fields that do not end"),
        pytest.param(b"POST /" + b"a" * LARGEST_HEAD + b" HTTP/1.1\r\nHost: me\r\n\r\n", id="the request line"),
    ],
)
async def test_too_large_a_head_is_431_and_the_end_of_the_connection(port: int, head: bytes) -> None:
    status, answer = await answers(port, head)
    assert status == 431
    headers, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in headers
    assert json.loads(body)["title"] == "Request Header Fields Too Large"


async def test_a_head_of_8_megabytes_is_not_taken_in(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        for piece in [START + b"X-Pad: ", *[b"a" * 65_536] * 128]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    try:
        with pytest.raises(ConnectionError):
            await send()
    finally:
        writer.close()


@pytest.mark.contract("D20")
async def test_the_largest_head_passes_whole_and_in_pieces(port: int) -> None:
    close = b"Connection: close"
    pad = b"X-Pad: " + b"a" * (TO_THE_BYTE - len("connectionclose") - 4)
    head = request(pad)
    assert close in head
    assert (await answers(port, head))[0] == 200
    assert (await answers(port, *(head[start : start + 1000] for start in range(0, len(head), 1000))))[0] == 200


async def test_bodies_and_requests_before_count_for_nothing(port: int) -> None:
    body = b" " * 60_000
    first = request(body=body, last=False)
    status, answer = await answers(port, first + first + first[:40], first[40:] + request(body=body))
    assert status == 200
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.count(b"\r\n\r\n60000") == 4


async def test_what_is_no_http_is_400_as_a_problem(port: int) -> None:
    status, answer = await answers(port, b"HELO me\r\n\r\n")
    assert status == 400
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["title"] == "Bad Request"
