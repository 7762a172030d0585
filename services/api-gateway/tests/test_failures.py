"""A service in trouble: what its callers see, and that nobody else notices."""

import asyncio

import pytest
from api_gateway.testing import Edge, Seen, Service, plain, raw, running
from chassis.testing import eventually, free_port, token


async def never(seen: Seen, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.contract("W10", "E07", "E10")
async def test_a_dead_service_takes_only_its_own_routes_with_it(service: Service) -> None:
    other, line = Service(), f"Authorization: Bearer {token()}"
    await other.start()
    async with running(service, PATIENT_SERVICE_URL=other.url) as edge:
        assert (await edge.ask("GET", "/api/patients", line)).status == 200
        await other.stop()
        for _ in range(12):
            reply = await edge.ask("GET", "/api/patients", line)
            assert reply.status == 503
            assert reply.json["detail"] == "patient-service is not available"
            assert (await edge.ask("GET", "/api/appointments", line)).status == 200
        health = await edge.ask("GET", "/actuator/health")
        assert health.status == 200
        assert health.json["components"]["upstreams"]["details"]["patient-service"] == "open"
        assert int((await edge.ask("GET", "/api/patients", line)).one("retry-after")) >= 1
        edge.plane.pools["patient-service"].breaker._until = 0.0  # its ten seconds are over
        await other.start()
        assert [(await edge.ask("GET", "/api/patients", line)).status for _ in range(5)] == [200] * 5
    await other.stop()


@pytest.mark.contract("W10")
async def test_an_upstreams_own_error_passes_and_opens_no_breaker(edge: Edge, service: Service) -> None:
    service.answer = plain(b'{"status":500}', "500 Internal Server Error")
    for _ in range(20):
        reply = await edge.ask("GET", "/auth/x")
        assert (reply.status, reply.body) == (500, b'{"status":500}')


@pytest.mark.contract("E10")
async def test_a_service_that_does_not_answer_is_504_in_time(service: Service) -> None:
    service.answer = never
    async with running(service, UPSTREAM_TIMEOUT_SECONDS="0.3", HEADER_TIMEOUT_SECONDS="1") as edge:
        reply = await asyncio.wait_for(edge.ask("GET", "/auth/x"), 3)
        assert reply.status == 504
        assert reply.one("content-type") == "application/problem+json"


@pytest.mark.contract("Z04", "E10")
@pytest.mark.parametrize("path", ["/auth/login", "/auth/register"])
async def test_hashing_in_trouble_leaves_tokens_and_keys_alone(service: Service, path: str) -> None:
    async def slow(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await (never if seen.target == path else plain())(seen, writer)

    service.answer = slow
    limits = {"RATE_LIMITS": "auth=1000/1000,jwks=1000/1000", "UPSTREAM_CONCURRENCY": "4"}
    async with running(service, UPSTREAM_TIMEOUT_SECONDS="0.2", **limits) as edge:
        stuck = [(await edge.ask("POST", path)).status for _ in range(12)]
        assert stuck.count(504) >= 5
        assert stuck[-1] == 503  # its breaker is open
        waiting = [asyncio.create_task(edge.ask("POST", path)) for _ in range(8)]
        for each in ("/auth/me", "/auth/validate", "/.well-known/jwks.json") * 5:
            assert (await edge.ask("GET", each)).status == 200
        await asyncio.gather(*waiting)


@pytest.mark.contract("Z04")
@pytest.mark.parametrize("status", ["503 Service Unavailable", "429 Too Many Requests"])
async def test_a_deliberate_refusal_opens_no_breaker(edge: Edge, service: Service, status: str) -> None:
    service.answer = plain(b"{}", status, "Retry-After: 2")
    for _ in range(30):
        reply = await edge.ask("POST", "/auth/login")
        assert (reply.status, reply.one("retry-after")) == (int(status[:3]), "2")
    service.answer = plain()
    assert (await edge.ask("POST", "/auth/login")).status == 200


@pytest.mark.contract("E10")
async def test_the_bulkhead_turns_away_at_once(service: Service) -> None:
    service.answer = never
    async with running(service, UPSTREAM_CONCURRENCY="2", RATE_LIMITS="auth=1000/1000") as edge:
        waiting = [asyncio.create_task(edge.ask("GET", "/auth/x")) for _ in range(2)]
        await eventually(lambda: edge.plane.pools["auth-service"].in_flight == 2)
        reply = await asyncio.wait_for(edge.ask("GET", "/auth/x"), 1)
        assert reply.status == 503
        assert reply.one("retry-after") == "1"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b=c\r\n\r\n",
        b"HTTP/1.1 600 Beyond\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
)
async def test_a_malformed_answer_is_502(edge: Edge, service: Service, answer: bytes) -> None:
    service.answer = raw(answer)
    async with edge.connect() as line:
        assert (await line.ask("GET", "/auth/x")).status == 502
        service.answer = plain()
        assert (await line.ask("GET", "/auth/x")).status == 200


@pytest.mark.parametrize("more", [b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n", b" folded\r\n"])
async def test_lines_that_were_seen_before_are_held_to_the_same_rules(
    edge: Edge, service: Service, more: bytes
) -> None:
    usual = b"HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 18:00:00 GMT\r\nContent-Length: 2\r\n"
    async with edge.connect() as line:
        for _ in range(3):
            service.answer = raw(usual + b"Connection: keep-alive\r\n\r\nok")
            assert (await line.ask("GET", "/auth/x")).body == b"ok"
        service.answer = raw(usual + more + b"\r\nok")
        assert (await line.ask("GET", "/auth/x")).status == 502


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
async def test_an_answer_cut_short_is_never_made_to_look_whole(edge: Edge, service: Service, answer: bytes) -> None:
    service.answer = raw(answer, close=True)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await edge.ask("GET", "/auth/x")


async def test_bytes_that_nobody_asked_for_answer_nobody(edge: Edge, service: Service) -> None:
    """Response splitting: what follows a whole answer must not become the next one's."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    service.answer = raw(whole + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    for asked in range(1, 4):
        assert (await edge.ask("GET", "/auth/x")).body == b"ok"
        assert service.connections == asked, "a connection out of step was kept"


async def fragile(service: Service, edge: Edge, method: str) -> int:
    """The status of a request on a kept connection that the service closes under it."""
    assert (await edge.ask("GET", "/auth/x")).status == 200
    good = service.answer

    async def slam(seen: Seen, writer: asyncio.StreamWriter) -> None:
        service.answer = good
        writer.transport.abort()
        raise ConnectionError

    service.answer = slam
    return (await edge.ask(method, "/auth/x", body=b"body" if method != "GET" else b"")).status


@pytest.mark.parametrize(("method", "status", "sent"), [("GET", 200, 2), ("PUT", 200, 2), ("POST", 503, 1)])
async def test_only_what_may_be_repeated_is_sent_again(
    edge: Edge, service: Service, method: str, status: int, sent: int
) -> None:
    assert await fragile(service, edge, method) == status
    again = service.seen[1:]
    assert len(again) == sent
    assert {seen.body for seen in again} == {b"" if method == "GET" else b"body"}


async def test_a_connection_that_was_closed_meanwhile_is_not_used(edge: Edge, service: Service) -> None:
    assert (await edge.ask("POST", "/auth/x", body=b"1")).status == 200
    await service.stop()
    await eventually(lambda: not edge.plane.pools["auth-service"].idle)
    await service.start()
    assert (await edge.ask("POST", "/auth/x", body=b"2")).status == 200
    assert [seen.body for seen in service.seen] == [b"1", b"2"]


async def test_connections_are_kept_and_used_last_in_first_out(edge: Edge, service: Service) -> None:
    for _ in range(20):
        assert (await edge.ask("GET", "/auth/x")).status == 200
    assert service.connections == 1
    pool = edge.plane.pools["auth-service"]
    assert len(pool.idle) == 1
    pool.sweep(edge.plane.now())
    assert len(pool.idle) == 1
    pool.sweep(edge.plane.now() + 31)
    assert not pool.idle
    assert (await edge.ask("GET", "/auth/x")).status == 200
    assert service.connections == 2


async def test_an_unreachable_service_is_503(service: Service) -> None:
    async with running(service, AUTH_SERVICE_URL=f"http://127.0.0.1:{free_port()}") as edge:
        assert (await edge.ask("GET", "/auth/x")).status == 503
