"""Browsers of known origins may call, others may not."""

import pytest
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
        assert "PUT" in reply.one("access-control-allow-methods")
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
