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
        except OSError as error:
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


async def test_connections_are_counted_over_all_and_by_address(service: Service) -> None:
    for environ in ({"MAX_CONNECTIONS": "3"}, {"MAX_CONNECTIONS_PER_ADDRESS": "3"}):
        async with running(service, **environ) as edge, contextlib.AsyncExitStack() as stack:
            lines = [await stack.enter_async_context(edge.connect()) for _ in range(3)]
            assert (await lines[0].ask("GET", "/auth/x")).status == 200
            async with edge.connect() as line:
                assert (await line.reply()).status == 503
                assert await line.closed()
            lines[1].writer.transport.abort()
            await eventually(lambda edge=edge: len(edge.plane._open) == 2)
            assert (await edge.ask("GET", "/auth/x")).status == 200


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
