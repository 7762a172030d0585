"""Slow clients, many clients, and the end of the process; on the process that users run."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator

import pytest
from api_gateway.testing import NAMES, Edge, Seen, Service, plain, running
from chassis.testing import JWT_SECRET, eventually, free_port

HEAD = b"GET /auth/x HTTP/1.1\r\nHost: g\r\n"


@contextlib.asynccontextmanager
async def process(service: Service, **environ: str) -> AsyncIterator[tuple[Edge, asyncio.subprocess.Process]]:
    """`python -m api_gateway`."""
    port = free_port()
    urls = {f"{name}_SERVICE_URL": service.url for name in NAMES}
    given = {"API_GATEWAY_PORT": str(port), "HOST": "127.0.0.1", "JWT_SECRET": JWT_SECRET, "LOG_LEVEL": "warning"}
    redis = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", "RATE_LIMITS": "auth=100000/100000"}
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api_gateway"),
        env={"PATH": os.environ["PATH"]} | urls | given | redis | environ,
        stdout=asyncio.subprocess.DEVNULL,
    )
    edge = Edge("127.0.0.1", port, None)

    async def up() -> bool:
        try:
            return (await edge.ask("GET", "/actuator/health/liveness")).status == 200
        except (OSError, ValueError) as error:  # a port that nobody listens on yet may be connected to itself
            raise AssertionError from error

    try:
        await eventually(up, within=30)
        yield edge, running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def p99(edge: Edge, count: int = 1500) -> float:
    """Seconds within which 99 of 100 requests on a kept connection are answered."""
    taken = []
    async with edge.connect() as line:
        for _ in range(count):
            started = time.perf_counter()
            assert (await line.ask("GET", "/auth/x")).status == 200
            taken.append(time.perf_counter() - started)
    return sorted(taken)[int(count * 0.99)]


# Opens connections, says so, sends a byte of a head on each about twice a second, and prints how long the last one was
# let live.
TRICKLE = """
import asyncio, contextlib, random, sys, time
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /auth/x HTTP/1.1\\r\\nHost: g\\r\\n")
    return reader, writer, time.monotonic()
async def trickles(reader, writer, since):
    with contextlib.suppress(OSError):
        while True:
            writer.write(b"X")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0.25, 0.75)):
                    await reader.read()
                    break
    return time.monotonic() - since
async def main():
    lines = await asyncio.gather(*(connected(int(sys.argv[1])) for _ in range(1000)))
    print("open", flush=True)
    print(max(await asyncio.gather(*(trickles(*line) for line in lines))))
asyncio.run(main())
"""


@pytest.mark.timeout(120)
async def test_a_thousand_trickling_connections_leave_the_others_their_pace(service: Service) -> None:
    async with process(service, HEADER_TIMEOUT_SECONDS="15") as (edge, _):
        await p99(edge, 200)
        quiet = min([await p99(edge) for _ in range(3)])
        attack = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", TRICKLE, str(edge.port)), stdout=asyncio.subprocess.PIPE
        )
        assert attack.stdout is not None
        assert await attack.stdout.readline() == b"open\n"
        under = await p99(edge)
        while under > 2 * quiet + 0.001 and attack.returncode is None:  # other work on the machine only ever adds to it
            under = min(under, await p99(edge))
        assert attack.returncode is None, f"at no time of the attack was it within bounds: {(under, quiet)}"
        out, _ = await attack.communicate()
        assert float(out) < 15 + 2 + 5  # its deadline, lingering, and the attacker's own delay


async def test_each_deadline_ends_what_is_late(service: Service) -> None:
    environ = {"HEADER_TIMEOUT_SECONDS": "0.3", "BODY_TIMEOUT_SECONDS": "0.4", "IDLE_TIMEOUT_SECONDS": "0.5"}
    async with running(service, **environ) as edge:
        async with edge.connect() as line:  # nothing at all
            assert await line.closed(within=2)
        async with edge.connect() as line:
            line.send(HEAD)
            assert (await line.reply()).status == 408
            assert await line.closed(within=3)
        async with edge.connect() as line:
            line.send(b"POST /auth/x HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\n\r\nabc")
            assert (await line.reply()).status == 408
            assert await line.closed(within=3)
        async with edge.connect() as line:
            assert (await line.ask("GET", "/auth/x")).status == 200
            started = time.monotonic()
            assert await line.closed(within=3)
            assert time.monotonic() - started > 0.4


async def test_a_stalled_answer_is_cut(service: Service) -> None:
    async def stall(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await asyncio.Event().wait()

    service.answer = stall
    async with running(service, STALL_TIMEOUT_SECONDS="0.3", HEADER_TIMEOUT_SECONDS="0.4") as edge:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await edge.ask("GET", "/auth/x")
        await eventually(lambda: edge.plane.pools["auth-service"].in_flight == 0)


async def refused(edge: Edge, source: str = "127.0.0.1") -> bool:
    """Whether one more connection is turned away, with a word when to come back."""
    async with edge.connect(source) as line:
        if (await line.ask("GET", "/auth/x", "Connection: close")).status == 200:
            return False
    async with edge.connect(source) as line:
        reply = await line.reply()
        assert (reply.status, reply.one("retry-after")) == (503, "1")
        assert await line.closed()
    return True


async def open_now(edge: Edge, number: int) -> None:
    await eventually(lambda: len(edge.plane.connections.open) == number)


@pytest.mark.contract("Z04")
async def test_an_address_has_an_eighth_of_the_connections_unless_it_is_a_trusted_proxy(service: Service) -> None:
    for environ, share in (
        ({"MAX_CONNECTIONS": "24"}, 3),
        ({"MAX_CONNECTIONS_PER_ADDRESS": "2"}, 2),
        ({"MAX_CONNECTIONS": "24", "TRUSTED_PROXIES": "127.0.0.1"}, 23),
    ):
        limits = {"RATE_LIMITS": "auth=1000/1000"} | environ
        async with running(service, **limits) as edge, contextlib.AsyncExitStack() as stack:
            lines = [await stack.enter_async_context(edge.connect()) for _ in range(share)]
            await open_now(edge, share)
            assert await refused(edge) == (share < 23)
            assert not await refused(edge, "127.0.0.2")  # the next client does not notice
            lines[0].writer.transport.abort()
            await open_now(edge, share - 1)
            assert not await refused(edge)


def _at_work(edge: Edge) -> int:
    return sum(each.idle_since is None for each in edge.plane.connections.open)


@pytest.mark.contract("Z04")
async def test_a_full_gateway_closes_idle_connections_and_keeps_those_at_work(service: Service) -> None:
    limits = {"MAX_CONNECTIONS": "8", "MAX_CONNECTIONS_PER_ADDRESS": "8", "RATE_LIMITS": "auth=1000/1000"}
    async with running(service, **limits) as edge, contextlib.AsyncExitStack() as stack:
        at_work = [await stack.enter_async_context(edge.connect()) for _ in range(4)]
        for line in at_work:
            line.send(b"GET /auth/x HTTP/1.1\r\nHost:")  # a head has begun
        idle = [await stack.enter_async_context(edge.connect("127.0.0.2")) for _ in range(4)]
        for line in idle:
            assert (await line.ask("GET", "/auth/x")).status == 200
        assert not await refused(edge, "127.0.0.3")
        assert await idle[0].closed()  # the one that was idle for the longest
        for line in at_work:
            line.send(b" g\r\n\r\n")
            assert (await line.reply()).status == 200
        for number in range(8):
            line = at_work[number] if number < 4 else await stack.enter_async_context(edge.connect("127.0.0.4"))
            line.send(b"GET /auth/x HTTP/1.1\r\nHost:")
            await eventually(lambda most=number: _at_work(edge) == most + 1)
        assert await refused(edge, "127.0.0.3")  # now all are at work


async def test_sigterm_finishes_what_is_under_way_and_closes_the_rest(service: Service) -> None:
    gate = asyncio.Event()

    async def late(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await plain()(seen, writer)

    async with process(service, SHUTDOWN_DRAIN_SECONDS="0.5") as (edge, running):
        async with edge.connect() as idle, edge.connect() as busy:
            assert (await idle.ask("GET", "/auth/x")).status == 200
            service.answer = late
            busy.send(HEAD + b"\r\n")
            await eventually(lambda: len(service.seen) == 2)
            running.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.2)
            assert (await edge.ask("GET", "/actuator/health/readiness")).status == 503
            assert await idle.closed()
            gate.set()
            reply = await busy.reply()
            assert reply.status == 200
            assert reply.one("connection") == "close"
        assert await asyncio.wait_for(running.wait(), 10) == 0
