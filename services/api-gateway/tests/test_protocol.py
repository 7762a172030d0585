"""The corners of HTTP/1: upgrades, old clients, trailers, and connections that stay in step whatever is refused."""

import pytest
from api_gateway.testing import Edge, Service, raw

NEXT = b"GET /auth/next HTTP/1.1\r\nHost: g\r\n\r\n"
WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")


@pytest.mark.parametrize("lines", [WEBSOCKET, H2C, WEBSOCKET[1:]], ids=["websocket", "h2c", "unnamed"])
async def test_nobody_is_upgraded(edge: Edge, service: Service, lines: tuple[str, ...]) -> None:
    """An upgraded connection would be a tunnel past every check; a request that asks for one is answered plainly."""
    async with edge.connect() as line:
        assert (await line.ask("GET", "/auth/x", *lines)).status == 200
        assert (await line.ask("GET", "/actuator/health", *lines)).status == 200
        service.answer = raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhi")
        assert (await line.ask("GET", "/auth/x", *lines)).status == 502
        service.answer = raw(
            b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n"
        )
        reply = await line.ask("GET", "/auth/x")
        assert reply.status == 426
        assert not reply.all("upgrade")
    for seen in service.seen:
        assert not {"connection", "upgrade", "http2-settings"} & {name for name, _ in seen.headers}


async def test_an_old_client_is_answered_once_and_closed(edge: Edge, service: Service) -> None:
    asks = {
        b"GET /auth/x HTTP/1.0\r\n\r\n": b"",
        b"GET /auth/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n": b"",
        b"HEAD /auth/x HTTP/1.0\r\nHost: g\r\n\r\n": b"",
        b"POST /auth/x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab": b"ab",
    }
    for data, body in asks.items():
        async with edge.connect() as line:
            line.send(data + NEXT)
            reply = await line.reply(data.partition(b" ")[0].decode())
            assert (reply.status, reply.one("connection")) == (200, "close")
            assert await line.closed()
        assert service.seen[-1].body == body
    assert len(service.seen) == len(asks)
    async with edge.connect() as line:
        line.send(b"GET / HTTP/1.0\r\n\r\n" + NEXT)
        assert (await line.reply()).one("connection") == "close"
        assert await line.closed()
    assert len(service.seen) == len(asks)


async def test_trailers_are_read_and_dropped(edge: Edge, service: Service) -> None:
    async with edge.connect() as line:
        line.send(
            b"POST /auth/x HTTP/1.1\r\nHost: g\r\nTE: trailers\r\nTrailer: X-Role, Content-Length\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Role: ADMIN\r\nContent-Length: 50\r\n\r\n" + NEXT
        )
        assert [(await line.reply()).status for _ in range(2)] == [200, 200]
        service.answer = raw(
            b"HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n"
        )
        for _ in range(2):
            reply = await line.ask("GET", "/auth/x")
            assert (reply.body, reply.all("trailer"), reply.all("x")) == (b"ok", [], [])
    first, second, *_ = service.seen
    assert (first.body, second.target) == (b"ab", "/auth/next")
    assert not {"x-role", "trailer", "te"} & {name for name, _ in first.headers}


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /api/patients", 401),
        (b"HEAD /api/patients", 401),
        (b"GET /nowhere", 404),
        (b"HEAD /nowhere", 404),
        (b"TRACE /auth/x", 405),
        (b"PUT /", 405),
        (b"HEAD /", 200),
    ],
)
async def test_what_is_refused_keeps_the_connection_in_step(edge: Edge, request_line: bytes, status: int) -> None:
    async with edge.connect() as line:
        line.send((request_line + b" HTTP/1.1\r\nHost: g\r\n\r\n" + NEXT) * 3)
        for _ in range(3):
            assert (await line.reply(request_line.partition(b" ")[0].decode())).status == status
            assert (await line.reply()).body == b'{"ok":true}'


@pytest.mark.parametrize("path", [b"/api/patients", b"/nowhere", b"/console"])
async def test_the_body_of_a_refused_request_is_no_request(edge: Edge, service: Service, path: bytes) -> None:
    async with edge.connect() as line:
        line.send(b"POST %b HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n%b" % (path, len(NEXT), NEXT))
        reply = await line.reply()
        assert reply.status in {401, 404, 405}
        assert reply.one("connection") == "close"
        assert await line.closed()
    assert not service.seen


async def test_a_204_has_no_length_whatever_the_service_says(edge: Edge, service: Service) -> None:
    """A client that believed it would take the next answer for the body."""
    service.answer = raw(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")
    async with edge.connect() as line:
        for _ in range(2):
            reply = await line.ask("DELETE", "/auth/x")
            assert (reply.status, reply.all("content-length"), reply.all("transfer-encoding")) == (204, [], [])
