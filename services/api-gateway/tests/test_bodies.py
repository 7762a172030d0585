"""Bodies in both directions: framing, limits, back-pressure, and who stops first."""

import asyncio

import pytest
from api_gateway.testing import Edge, Seen, Service, plain, raw, running
from chassis.testing import eventually

CHUNKED = b"POST /auth/x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_chunked_request_arrives_whole_however_it_is_cut(edge: Edge, service: Service) -> None:
    data = CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"
    async with edge.connect() as line:
        line.send(data)
        assert (await line.reply()).status == 200
        for byte in data:
            line.send(bytes([byte]))
            await line.writer.drain()
            await asyncio.sleep(0)
        assert (await line.reply()).status == 200
    assert [seen.body for seen in service.seen] == [b"hello world"] * 2


async def test_chunked_answers_and_endless_ones_are_framed_anew(edge: Edge, service: Service) -> None:
    async with edge.connect() as line:
        service.answer = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n")
        reply = await line.ask("GET", "/auth/x")
        assert (reply.status, reply.body) == (200, b"abc")  # an extension is not passed on
        service.answer = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert (await line.ask("GET", "/auth/x")).body == b"abcde"
        service.answer = raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", close=True)
        assert (await line.ask("GET", "/auth/x")).body == b"until the end"
        service.answer = raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert (await line.ask("GET", "/auth/x")).body == b"ok"


async def test_http_1_0_gets_what_it_understands(edge: Edge, service: Service) -> None:
    service.answer = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    async with edge.connect() as line:
        line.send(b"GET /auth/x HTTP/1.0\r\n\r\n")
        reply = await line.reply()
        assert reply.body == b"abc"
        assert not reply.all("transfer-encoding")


@pytest.mark.contract("D08")
async def test_head_and_bodiless_statuses_keep_the_connection_in_step(edge: Edge, service: Service) -> None:
    async with edge.connect() as line:
        for status in ("204 No Content", "304 Not Modified"):
            service.answer = raw(f'HTTP/1.1 {status}\r\nETag: "1"\r\n\r\n'.encode())
            assert (await line.ask("GET", "/auth/x")).status == int(status[:3])
        service.answer = plain(b"12345")
        head = await line.ask("HEAD", "/auth/x")
        assert head.one("content-length") == "5"
        assert (await line.ask("GET", "/auth/x")).body == b"12345"


@pytest.mark.contract("D20", "D09")
async def test_a_body_over_the_limit_is_413_by_length_and_by_count(edge: Edge, service: Service) -> None:
    async with edge.connect() as line:
        line.send(CHUNKED + b"80000\r\n" + b"x" * 0x80000 + b"\r\n80000\r\n" + b"x" * 0x80000 + b"\r\n1\r\nx\r\n")
        assert (await line.reply()).status == 413
        assert await line.closed()
    assert (await edge.ask("POST", "/auth/x", "Content-Length: 1048577")).status == 413
    assert (await edge.ask("POST", "/auth/x", body=b"x" * 1_048_576)).status == 200
    assert [len(seen.body) for seen in service.seen if seen.body] == [1_048_576]


async def test_a_client_that_expects_100_is_told_only_when_it_may_send(edge: Edge, service: Service) -> None:
    async with edge.connect() as line:
        line.send(b"POST /auth/x HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert (await line.reply()).status == 100
        line.send(b"hello")
        assert (await line.reply()).status == 200
        assert service.seen[0].body == b"hello"
        assert service.seen[0].one("expect") is None
    async with edge.connect() as line:
        line.send(b"POST /api/patients HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert (await line.reply()).status == 401
        assert await line.closed()


async def test_an_early_answer_reaches_a_client_that_is_still_sending(edge: Edge, service: Service) -> None:
    service.early, service.answer = True, plain(b"{}", "409 Conflict")
    async with edge.connect() as line:
        line.send(b"POST /auth/x HTTP/1.1\r\nHost: g\r\nContent-Length: 500000\r\n\r\n" + b"x" * 1000)
        reply = await line.reply()
        assert reply.status == 409
        assert reply.one("connection") == "close"
        line.send(b"x" * 1000)
        assert await line.closed()


async def test_pipelined_requests_are_answered_in_order(edge: Edge, service: Service) -> None:
    async def echo(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await plain(seen.target.encode() + seen.body)(seen, writer)

    service.answer = echo
    async with edge.connect() as line:
        line.send(b"".join(b"POST /auth/%d HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n\r\nab" % n for n in range(500)))
        for number in range(500):
            assert (await line.reply()).body == b"/auth/%dab" % number


async def test_a_client_that_leaves_takes_its_request_along(edge: Edge, service: Service) -> None:
    async def never(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    service.answer = never
    for data in (b"GET /auth/x HTTP/1.1\r\nHost: g\r\n\r\n", CHUNKED + b"5\r\nhel"):
        async with edge.connect() as line:
            line.send(data)
            await eventually(lambda: edge.plane.pools["auth-service"].in_flight == 1)
        await eventually(lambda: edge.plane.pools["auth-service"].in_flight == 0)
        await eventually(lambda: edge.plane.pools["auth-service"].connections == 0)


async def test_a_slow_reader_holds_the_service_back(service: Service) -> None:
    """64 MiB for a client that does not read: what the gateway takes in is bounded by its and the sockets' buffers."""
    sent = 0

    async def flood(seen: Seen, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
        for _ in range(1024):
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    service.answer = flood
    async with running(service) as edge, edge.connect() as line:
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        line.send(b"GET /auth/x HTTP/1.1\r\nHost: g\r\n\r\n")
        quiet = -1
        while quiet != sent or not sent:
            quiet = sent
            await asyncio.sleep(0.3)
        assert sent < 24 << 20
        (client,) = (each for each in edge.plane.connections.open if each.transport is not None)
        assert client.transport.get_write_buffer_size() < 1 << 20
        line.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len((await line.reply()).body) == 67_108_864


async def test_a_slow_service_holds_the_client_back(service: Service) -> None:
    gate, read = asyncio.Event(), service._read

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Seen:
        await gate.wait()
        return await read(reader, writer)

    service._read = late  # type: ignore[method-assign]
    async with running(service, MAX_BODY_BYTES=str(64 << 20)) as edge, edge.connect() as line:
        line.send(b"POST /auth/x HTTP/1.1\r\nHost: g\r\nContent-Length: 33554432\r\n\r\n")
        sending = asyncio.create_task(_send(line.writer, 33_554_432))
        await asyncio.sleep(0.5)
        assert not sending.done()
        gate.set()
        await sending
        assert (await line.reply()).status == 200
        assert len(service.seen[0].body) == 33_554_432


async def _send(writer: asyncio.StreamWriter, size: int) -> None:
    for _ in range(size // 65536):
        writer.write(b"x" * 65536)
        await writer.drain()
