"""Browsers of known origins may call, others may not."""

import pytest
from api_gateway.cors import normal_origin
from api_gateway.testing import Edge, Service, running

KNOWN = "Origin: http://localhost:3000"
OTHER = "Origin: http://evil.example"
ASKS = "Access-Control-Request-Method: PUT"


@pytest.mark.contract("W08", "D19")
async def test_a_preflight_of_a_known_origin_is_allowed_and_free(service: Service) -> None:
    async with running(service, RATE_LIMITS="default=1/1") as edge:
        for _ in range(5):
            reply = await edge.ask("OPTIONS", "/api/patients/1", KNOWN, ASKS, "Access-Control-Request-Headers: x-y")
            assert reply.status == 204
        assert reply.one("access-control-allow-origin") == "http://localhost:3000"
        assert reply.one("access-control-allow-methods") == "GET, HEAD, POST, PUT, DELETE, OPTIONS"
        assert "Idempotency-Key" in reply.one("access-control-allow-headers")
        assert "Authorization" in reply.one("access-control-allow-headers")
        assert reply.one("access-control-max-age")
        assert "Origin" in reply.all("vary")
        assert (await edge.ask("OPTIONS", "/nowhere", KNOWN, ASKS)).status == 404
    assert not service.seen


@pytest.mark.contract("W08")
async def test_a_preflight_of_another_origin_is_blocked(edge: Edge, service: Service) -> None:
    reply = await edge.ask("OPTIONS", "/api/patients/1", OTHER, ASKS)
    assert reply.status == 403
    assert not [name for name, _ in reply.headers if name.startswith("access-control-")]
    assert not service.seen


@pytest.mark.contract("W08", "D19")
async def test_answers_are_readable_for_known_origins_only(edge: Edge, service: Service, bearer: str) -> None:
    for path, lines in (("/api/patients", [bearer]), ("/api/patients", []), ("/nowhere", [])):
        reply = await edge.ask("GET", path, KNOWN, *lines)
        assert reply.one("access-control-allow-origin") == "http://localhost:3000"
        exposed = reply.one("access-control-expose-headers")
        for name in ("Location", "ETag", "X-Request-ID", "RateLimit", "X-RateLimit-Remaining", "Retry-After"):
            assert name in exposed
        reply = await edge.ask("GET", path, OTHER, *lines)
        assert not reply.all("access-control-allow-origin")


@pytest.mark.contract("W08")
async def test_documents_are_readable_for_known_origins_and_the_console_for_none(edge: Edge) -> None:
    for path in ("/api-docs/patients", "/actuator/health", "/", "/api-docs/nothing"):
        reply = await edge.ask("GET", path, KNOWN)
        assert reply.one("access-control-allow-origin") == "http://localhost:3000"
        assert "Origin" in reply.all("vary")
        assert not (await edge.ask("GET", path, OTHER)).all("access-control-allow-origin")
        assert (await edge.ask("OPTIONS", path, KNOWN, ASKS)).status == 204
        assert (await edge.ask("OPTIONS", path, OTHER, ASKS)).status == 403
    for path in ("/console", "/console/login"):
        assert not (await edge.ask("GET", path, KNOWN)).all("access-control-allow-origin")
        assert (await edge.ask("OPTIONS", path, KNOWN, ASKS)).status == 405


async def test_origins_are_configurable(service: Service) -> None:
    async with running(service, CORS_ALLOWED_ORIGINS="https://a.example, https://b.example") as edge:
        for origin, status in (("https://b.example", 204), ("http://localhost:3000", 403)):
            assert (await edge.ask("OPTIONS", "/auth/login", f"Origin: {origin}", ASKS)).status == status


@pytest.mark.contract("D19")
@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1:8080", "https://localhost"])
async def test_in_development_this_machine_may_call_from_any_port(service: Service, origin: str) -> None:
    async with running(service, APP_ENV="development") as edge:
        assert (await edge.ask("OPTIONS", "/auth/login", f"Origin: {origin}", ASKS)).status == 204
        reply = await edge.ask("GET", "/api-docs/problems", f"Origin: {origin}")
        assert reply.one("access-control-allow-origin") == origin
    async with running(service, APP_ENV="development", CORS_ALLOWED_ORIGINS="https://a.example") as edge:
        assert (await edge.ask("OPTIONS", "/auth/login", f"Origin: {origin}", ASKS)).status == 403


@pytest.mark.parametrize(
    "origin", ["http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://localhost:x"]
)
async def test_what_only_looks_like_this_machine_may_not(service: Service, origin: str) -> None:
    async with running(service, APP_ENV="development") as edge:
        assert (await edge.ask("OPTIONS", "/auth/login", f"Origin: {origin}", ASKS)).status == 403


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://App.Example/", "https://app.example"),
        ("HTTPS://a.example:443", "https://a.example"),
        ("http://a.example:080", "http://a.example"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_understood_as_browsers_send_it(written: str, sent: str) -> None:
    assert normal_origin(written) == sent


@pytest.mark.parametrize(
    "written", ["*", "a.example", "null", "https://a.example/app", "https://me@a.example", "https://*.a.example"]
)
def test_an_origin_that_no_browser_sends_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        normal_origin(written)


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/auth/login", "POST, OPTIONS"), ("/api/billing/accounts/1", "GET, HEAD, OPTIONS"), ("/", "GET, HEAD, OPTIONS")],
)
async def test_a_preflight_names_the_methods_that_exist(edge: Edge, path: str, methods: str) -> None:
    assert (await edge.ask("OPTIONS", path, KNOWN, ASKS)).one("access-control-allow-methods") == methods
