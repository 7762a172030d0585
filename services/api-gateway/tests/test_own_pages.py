"""What the gateway answers by itself."""

import pytest
from api_gateway.testing import Edge, Service, plain, running


@pytest.mark.contract("A04", "O01", "O02", "O03", "O04")
async def test_the_actuator_answers_on_the_gateways_port(edge: Edge, service: Service, bearer: str) -> None:
    await edge.ask("GET", "/api/patients", bearer)
    health = await edge.ask("GET", "/actuator/health")
    assert health.status == 200
    assert health.json["status"] == "UP"
    assert health.json["components"]["redis"]["status"] == "DOWN"  # it is away in this test
    assert health.json["components"]["upstreams"]["details"]["patient-service"] == "closed"
    for page in ("info", "metrics", "health/liveness", "health/readiness"):
        assert (await edge.ask("GET", f"/actuator/{page}")).status == 200
    text = (await edge.ask("GET", "/actuator/prometheus")).body.decode()
    for line in (
        'gateway_requests_total{method="GET",route="patients",status="200"}',
        'gateway_request_duration_seconds_bucket{le="+Inf",route="patients"}',
        'gateway_limit_decisions_total{decision="allowed",route="patients"}',
        'gateway_upstream_connections{state="idle",upstream="patient-service"}',
        'circuit_breaker_state{name="patient-service",state="closed"} 1.0',
    ):
        assert line in text


@pytest.mark.contract("D07", "W02")
async def test_the_services_documents_are_shown_without_a_token(service: Service) -> None:
    service.answer = plain(b'{"openapi":"3.1.0","paths":{}}')
    async with running(service) as edge:
        index = await edge.ask("GET", "/")
        assert index.one("content-type").startswith("text/html")
        for name in ("patients", "appointments", "auth", "billing", "analytics"):
            assert f"/api-docs/{name}".encode() in index.body
            reply = await edge.ask("GET", f"/api-docs/{name}")
            assert reply.status == 200
            assert reply.json["openapi"] == "3.1.0"
            assert reply.json["servers"] == [{"url": "/" if name == "auth" else "/api"}]
        assert (await edge.ask("GET", "/api-docs/nothing")).status == 404
        await service.stop()
        assert (await edge.ask("GET", "/api-docs/auth")).status == 503
    assert {seen.target for seen in service.seen} == {"/openapi.json"}


async def test_the_documents_can_be_switched_off(service: Service) -> None:
    async with running(service, API_DOCS_ENABLED="false") as edge:
        assert (await edge.ask("GET", "/api-docs/auth")).status == 404
        assert b"/api-docs/" not in (await edge.ask("GET", "/")).body


async def test_a_page_and_a_route_share_a_connection(edge: Edge, service: Service, bearer: str) -> None:
    async with edge.connect() as line:
        for _ in range(3):
            assert (await line.ask("GET", "/actuator/health")).status == 200
            assert (await line.ask("GET", "/api/patients", bearer)).status == 200
            assert (await line.ask("HEAD", "/")).status == 200
        line.send(b"GET / HTTP/1.1\r\nHost: g\r\n\r\nGET /auth/x HTTP/1.1\r\nHost: g\r\n\r\n" * 5)
        for _ in range(5):
            assert b"<h1>" in (await line.reply()).body
            assert (await line.reply()).body == b'{"ok":true}'


async def test_a_page_takes_no_body_and_no_other_method(edge: Edge) -> None:
    assert (await edge.ask("POST", "/actuator/health")).status == 405
    assert (await edge.ask("GET", "/", body=b"x")).status == 400
    assert (await edge.ask("GET", "/actuator/nothing")).status == 404
    async with edge.connect() as line:
        assert (await line.ask("GET", "/", "Connection: close")).status == 200
        assert await line.closed()


@pytest.mark.contract("D08")
async def test_bytes_that_are_no_text_are_refused_on_its_own_pages(edge: Edge) -> None:
    for target in ("/actuator/health?x=%ff", "/console/login?next=%ff", "/api-docs/%ff", "/?a=%C3"):
        assert (await edge.ask("GET", target)).status == 400, target
