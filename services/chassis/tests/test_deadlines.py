"""A client that is slow, silent or many takes a service from nobody: it has the gateway's deadlines and limits."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from chassis.app import create_app
from chassis.connections import FILES_BESIDE, Connections
from chassis.proxies import Networks
from chassis.settings import ServiceSettings
from chassis.testing import eventually, serve
from fastapi import APIRouter, Request
from starlette.responses import Response

pytestmark = pytest.mark.contract("Z04")

GET = b"GET /size HTTP/1.1\r\nHost: me\r\n\r\n"
POST = b"POST /size HTTP/1.1\r\nHost: me\r\nContent-Type: application/json\r\n"
QUICK = {
    "header_timeout_seconds": 0.4,
    "body_timeout_seconds": 0.4,
    "idle_timeout_seconds": 0.4,
    "stall_timeout_seconds": 0.4,
}


@asynccontextmanager
async def service(**limits: float) -> AsyncIterator[int]:
    router = APIRouter()

    @router.api_route("/size", methods=["GET", "POST"])
    async def size(request: Request) -> int:
        return len(await request.body())

    @router.get("/big")
    async def big() -> Response:
        return Response(b"x" * 30_000_000)

    @router.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(1.2)
        return "done"

    async with serve(create_app(ServiceSettings(**limits), routers=[router])) as url:
        yield int(url.rpartition(":")[2])


async def until_closed(port: int, *pieces: bytes, pause: float = 0.0) -> tuple[float, bytes]:
    """How long the server kept the connection, and what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()

    async def send() -> None:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause)

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(10):
            got = await reader.read()
        return time.monotonic() - began, got
    finally:
        sending.cancel()
        writer.close()


@pytest.mark.parametrize(
    ("pieces", "pause", "status"),
    [
        pytest.param([], 0.0, None, id="a connection that says nothing"),
        pytest.param([b"GET /size"], 0.0, b"408", id="a head that stops"),
        pytest.param([GET[:1], *(GET[at : at + 1] for at in range(1, 30))], 0.1, b"408", id="a head that trickles"),
        pytest.param([POST + b"Content-Length: 9\r\n\r\n{"], 0.0, b"408", id="a body that stops"),
        pytest.param([POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{"], 0.0, b"408", id="a chunk that stops"),
        pytest.param(
            [POST + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\n{\r\n"] * 30], 0.1, b"408", id="chunks that trickle"
        ),
        pytest.param(
            [POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", *[b"X: y\r\n"] * 10], 0.1, b"408", id="endless trailers"
        ),
        pytest.param([GET], 0.0, b"200", id="a kept connection"),
    ],
)
async def test_what_does_not_come_in_time_ends_the_connection(
    pieces: list[bytes], pause: float, status: bytes | None
) -> None:
    async with service(**QUICK) as port:
        seconds, got = await until_closed(port, *pieces, pause=pause)
    assert 0.3 < seconds < 5
    assert got[9:12] == (status or b"")


async def test_a_slow_application_has_its_time_and_a_reader_that_stops_has_not() -> None:
    async with service(**QUICK) as port:
        _, got = await until_closed(port, b"GET /slow HTTP/1.1\r\nHost: me\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 200")
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.write(b"GET /big HTTP/1.1\r\nHost: me\r\n\r\n")
        await reader.readuntil(b"\r\n")
        transport = writer.transport
        transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(1.5)
        transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(29_000_000)
        writer.close()


async def test_a_full_service_closes_idle_connections_first() -> None:
    async with service(max_connections=16, max_connections_per_address=16) as port:
        kept = []
        for _ in range(16):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n0")
            kept.append((reader, writer))
        _, got = await until_closed(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert got.startswith(b"HTTP/1.1 200") or b"503" in got[:20]
        for _, writer in kept:
            writer.close()


class Fake:
    """A connection that is counted."""

    def __init__(self, peer: str, idle_since: float | None = None) -> None:
        self.peer = peer
        self.idle_since = idle_since
        self.closed = False

    def close(self) -> None:
        self.closed = True


def counting(most: int, *, share: int | None = None, trusted: str = "") -> Connections[Fake]:
    settings = ServiceSettings(max_connections=most, max_connections_per_address=share)
    return Connections(settings, Networks([trusted] if trusted else []))


@pytest.mark.parametrize(
    "address",
    [
        lambda number: "192.0.2.1",
        lambda number: ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:c000:201")[number % 3],
        lambda number: f"2001:db8::{number:x}",
        lambda number: f"2001:db8:0:0:{number:x}::1",
        lambda number: f"fe80::{number:x}%eth0",
    ],
    ids=["an IPv4 address", "its spellings", "a /64", "all of a /64", "link-local"],
)
def test_one_client_has_an_eighth(address) -> None:
    connections = counting(80)
    assert [connections.enter(Fake(address(number))) for number in range(20)] == [True] * 10 + [False] * 10
    assert connections.enter(Fake("198.51.100.1"))


def test_two_addresses_leave_three_quarters_and_a_proxy_may_have_all() -> None:
    connections = counting(80)
    taken = sum(connections.enter(Fake(f"192.0.2.{number % 2}")) for number in range(200))
    assert taken == 20
    behind = counting(80, trusted="10.0.0.0/8")
    assert all(behind.enter(Fake("10.0.0.1")) for _ in range(80))
    assert not behind.enter(Fake("10.0.0.1"))
    assert sum(counting(80, share=3).enter(each) for each in [Fake("192.0.2.1")] * 1) == 1


def test_the_idlest_make_room_and_the_busy_stay() -> None:
    connections = counting(80, share=80)
    busy, idle = [Fake("192.0.2.1") for _ in range(40)], [Fake("192.0.2.2", float(age)) for age in range(40)]
    for each in [*busy, *idle]:
        assert connections.enter(each)
    for number in range(40):
        assert connections.enter(Fake(f"198.51.100.{number}"))
    assert not any(each.closed for each in busy)
    assert all(each.closed for each in idle)
    assert not connections.enter(Fake("203.0.113.1"))  # now all are busy
    first = next(iter(connections.open))
    connections.leave(first)
    connections.leave(first)
    assert len(connections.open) == 80


def test_a_process_may_open_as_many_files_as_it_takes_connections() -> None:
    lower = "import resource as r; hard = r.getrlimit(r.RLIMIT_NOFILE)[1]; r.setrlimit(r.RLIMIT_NOFILE, ({}, {})); "
    raised = "from chassis.connections import allow_files; print(allow_files(1000), r.getrlimit(r.RLIMIT_NOFILE)[0])"
    for soft, hard, said in ((300, "hard", f"True {1000 + FILES_BESIDE}"), (300, 700, "False 700")):
        command = [sys.executable, "-c", lower.format(soft, hard) + raised]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == said


async def test_who_left_is_counted_no_more() -> None:
    async with service(max_connections_per_address=2) as port:
        for _ in range(3):
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]

            async def third() -> bool:
                return b" 503 " in (await until_closed(port))[1][:20]

            await eventually(third, within=10)
            for _, writer in held:
                writer.close()
                await writer.wait_closed()

            async def room() -> bool:
                answer = await until_closed(port, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                return b" 200 " in answer[1][:20]

            await eventually(room, within=10)
