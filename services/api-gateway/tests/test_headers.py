"""What is added, what is stripped, and who is believed."""

import re

import pytest
from api_gateway.testing import Edge, Service, plain, raw, running
from chassis.testing import token

SECURITY = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-xss-protection": "0",
}


@pytest.mark.contract("W07", "D12", "D21")
async def test_every_answer_carries_the_security_headers_once(service: Service) -> None:
    copies = [f"{name}: something else" for name in SECURITY]
    good = f"Authorization: Bearer {token()}"
    async with running(service, RATE_LIMITS="patients=30/3,default=1000/1000") as edge:
        answers = {404: await edge.ask("GET", "/nowhere"), 401: await edge.ask("GET", "/api/patients")}
        for status, reason in ((200, "OK"), (500, "Internal Server Error")):
            service.answer = plain(b"{}", f"{status} {reason}", *copies)
            answers[status] = await edge.ask("GET", "/api/patients", good)
        while (last := await edge.ask("GET", "/api/patients", good)).status != 429:
            assert last.status == 500
        answers[429] = last
        answers[0] = await edge.ask("GET", "/actuator/health")
        answers[1] = await edge.ask("GET", "/")
        answers[2] = await edge.ask("G(T", "/")
    for status, reply in answers.items():
        assert status < 100 or reply.status == status
        for name, value in SECURITY.items():
            assert reply.one(name) == value, (status, name)
        assert re.fullmatch(r"[!-~]{1,128}", reply.one("x-request-id"))
        assert reply.one("date") if status >= 100 else True


@pytest.mark.contract("D12")
async def test_the_xss_header_is_configurable(service: Service) -> None:
    async with running(service, X_XSS_PROTECTION="1; mode=block") as edge:
        assert (await edge.ask("GET", "/nowhere")).one("x-xss-protection") == "1; mode=block"


@pytest.mark.contract("W06", "D19")
async def test_the_limit_is_told_in_both_ways(service: Service) -> None:
    good = f"Authorization: Bearer {token()}"
    async with running(service, RATE_LIMITS="patients=21/42") as edge:
        first = await edge.ask("GET", "/api/patients", good)
        second = await edge.ask("GET", "/api/patients", good)
        for reply, left in ((first, 41), (second, 40)):
            assert reply.one("x-ratelimit-limit") == "42"
            assert reply.one("x-ratelimit-remaining") == str(left)
            assert reply.one("x-ratelimit-reset") == "1"
            assert reply.one("ratelimit-policy") == '"patients";q=42;w=2'
            assert reply.one("ratelimit") == f'"patients";r={left};t=1'
            assert not reply.all("retry-after")
        for path in ("/nowhere", "/api/patients", "/", "/api-docs/nothing", "/console"):
            reply = await edge.ask("GET", path)
            assert reply.one("x-ratelimit-limit") == "100", path
            assert reply.one("ratelimit").startswith('"default";r=')
        assert not (await edge.ask("GET", "/actuator/health")).all("x-ratelimit-limit")  # it counts against nobody


async def test_hop_by_hop_fields_stay_behind(edge: Edge, service: Service, bearer: str) -> None:
    service.answer = plain(
        b"{}", "200 OK", "Connection: X-Secret", "X-Secret: 1", "Keep-Alive: timeout=5", "Server: uvicorn", "X-Kept: 1"
    )
    reply = await edge.ask(
        "GET",
        "/api/patients",
        bearer,
        "Connection: keep-alive, X-Named",
        "X-Named: 1",
        "Keep-Alive: 5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eA==",
        "TE: trailers",
        "Trailer: X",
        "Upgrade: websocket",
        "X-Kept: 1",
    )
    names = {name for name, _ in service.seen[0].headers}
    stripped = {"connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "upgrade"}
    assert not names & (stripped | {"x-named"})
    assert service.seen[0].one("x-kept") == "1"
    assert not [name for name in ("x-secret", "keep-alive", "server", "connection") if reply.all(name)]
    assert reply.one("x-kept") == "1"


async def test_naming_a_field_that_matters_does_not_remove_it(edge: Edge, service: Service, bearer: str) -> None:
    """The abuse of Connection: to strip what the proxy itself adds."""
    named = "Connection: close, X-Forwarded-For, Host, Content-Length, X-Request-ID, traceparent"
    await edge.ask("POST", "/api/patients", bearer, named, body=b"{}")
    seen = service.seen[0]
    assert seen.body == b"{}"
    for name in ("x-forwarded-for", "host", "content-length", "x-request-id", "traceparent"):
        assert seen.one(name)


@pytest.mark.contract("D13")
async def test_nobody_says_who_he_is_unless_he_is_trusted(service: Service) -> None:
    claims = (
        "X-Forwarded-For: 1.2.3.4, 5.6.7.8",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Prefix: /outer",
        "Forwarded: for=1.2.3.4",
        "X-Real-IP: 1.2.3.4",
        "X-User-Id: admin",
        "X-Role: ADMIN",
        "X_Forwarded_For: 1.2.3.4",
    )
    async with running(service) as edge:
        await edge.ask("GET", "/auth/me", *claims)
    plainly = service.seen[0]
    assert plainly.one("x-forwarded-for") == "127.0.0.1"
    assert plainly.one("x-forwarded-proto") == "http"
    for name in ("x-forwarded-prefix", "forwarded", "x-real-ip", "x-user-id", "x-role", "x_forwarded_for"):
        assert plainly.one(name) is None, name
    async with running(service, TRUSTED_PROXIES="127.0.0.0/8,5.6.7.8") as edge:
        await edge.ask("GET", "/auth/me", *claims)
    believed = service.seen[1]
    assert believed.one("x-forwarded-for") == "1.2.3.4, 5.6.7.8, 127.0.0.1"
    assert believed.one("x-forwarded-proto") == "https"
    assert believed.one("x-forwarded-prefix") == "/outer"
    assert believed.one("x-user-id") == "admin"


@pytest.mark.contract("D13")
async def test_clients_behind_a_trusted_proxy_are_limited_one_by_one(service: Service) -> None:
    async with running(service, TRUSTED_PROXIES="127.0.0.1", RATE_LIMITS="auth=1/1") as edge:
        statuses = [
            (await edge.ask("GET", "/auth/me", f"X-Forwarded-For: 9.9.9.9, {address}")).status
            for address in ("1.1.1.1", "1.1.1.1", "2.2.2.2", "2001:db8::1", "2001:db8::2")
        ]
    assert statuses == [200, 429, 200, 200, 429]  # an IPv6 client has a whole /64


@pytest.mark.contract("D21", "O14")
async def test_the_request_id_and_the_trace_go_through(edge: Edge, service: Service) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    reply = await edge.ask("GET", "/auth/me", 'X-Request-ID: my-"id"', f"traceparent: 00-{trace}-b7ad6b7169203331-01")
    seen = service.seen[0]
    assert reply.one("x-request-id") == seen.one("x-request-id") == 'my-"id"'
    parent = seen.one("traceparent") or ""
    assert re.fullmatch(rf"00-{trace}-[0-9a-f]{{16}}-01", parent)
    assert "b7ad6b7169203331" not in parent
    for given in ("", "a b", "x" * 129, "é"):
        reply = await edge.ask("GET", "/auth/me", f"X-Request-ID: {given}", "traceparent: 00-00-00-00")
        seen = service.seen[-1]
        assert re.fullmatch(r"[0-9a-f]{32}", reply.one("x-request-id"))
        assert seen.one("x-request-id") == reply.one("x-request-id")
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", seen.one("traceparent") or "")


async def test_a_repeated_id_is_no_id(edge: Edge, service: Service) -> None:
    await edge.ask("GET", "/auth/me", "X-Request-ID: a", "X-Request-ID: b", "X-Request-ID: c")
    assert service.seen[0].one("x-request-id") not in {"a", "b", "c"}


async def test_what_a_service_says_passes_unchanged(edge: Edge, service: Service) -> None:
    service.answer = raw(
        b'HTTP/1.1 418 Teapot\r\nETag: "7"\r\nLocation: /api/patients/1\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n'
        b"Date: Tue, 24 Nov 2026 00:00:00 GMT\r\nContent-Length: 3\r\n\r\nabc"
    )
    reply = await edge.ask("GET", "/auth/me")
    assert (reply.status, reply.body) == (418, b"abc")
    assert reply.one("etag") == '"7"'
    assert reply.one("location") == "/api/patients/1"
    assert reply.all("set-cookie") == ["a=1", "b=2"]
    assert reply.one("date") == "Tue, 24 Nov 2026 00:00:00 GMT"
