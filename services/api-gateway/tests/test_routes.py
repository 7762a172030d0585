"""Where a request goes, for whom, and what it looks like when it arrives."""

import json

import pytest
from api_gateway.routes import METHODS, OWN_PAGES, ROUTES, RouteTable
from api_gateway.testing import Edge, Service, plain, running, settings
from chassis.testing import token
from healthcare_contracts.permissions import ROLES

PATHS = {
    "/api/patients": "/patients",
    "/api/patients/17": "/patients/17",
    "/api/patients/17/x?y=%20": "/patients/17/x?y=%20",
    "/api/appointments?from=2025-05-20T00:00:00": "/appointments?from=2025-05-20T00:00:00",
    "/api/analytics/summary": "/analytics/summary",
    "/api/billing/accounts/17": "/billing/accounts/17",
    "/auth/login": "/auth/login",
    "/.well-known/jwks.json": "/.well-known/jwks.json",
}


@pytest.mark.contract("W01", "W02", "D07")
@pytest.mark.parametrize("path", PATHS)
async def test_each_path_reaches_its_service_without_its_prefix(
    edge: Edge, service: Service, bearer: str, path: str
) -> None:
    assert (await edge.ask("GET", path, bearer)).status == 200
    assert service.seen[0].target == PATHS[path]
    prefix = "/api" if path.startswith("/api") else None
    assert service.seen[0].one("x-forwarded-prefix") == prefix


@pytest.mark.contract("W01", "W09", "A04")
async def test_each_route_has_its_own_service() -> None:
    services = {}
    for name in ("PATIENT", "APPOINTMENT", "AUTH", "BILLING", "ANALYTICS"):
        services[name] = Service(answer=plain(name.encode()))
        await services[name].start()
    urls = {f"{name}_SERVICE_URL": each.url for name, each in services.items()}
    async with running(None, **urls) as edge:
        for path, name in (
            ("/api/patients", "PATIENT"),
            ("/api/appointments", "APPOINTMENT"),
            ("/auth/me", "AUTH"),
            ("/api/billing/accounts/1", "BILLING"),
            ("/api/analytics/summary", "ANALYTICS"),
        ):
            assert (await edge.ask("GET", path, f"Authorization: Bearer {token()}")).body == name.encode()
    for each in services.values():
        await each.stop()
    defaults = settings()
    assert defaults.port == 4004
    assert defaults.auth_service_url == "http://auth-service:4005"


@pytest.mark.contract("D07")
@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/api",
        "/api/nowhere",
        "/api/patientsx",
        "/patients",
        "/authx",
        "/.well-known",
        "/.well-known/jwks.json/x",
    ],
)
async def test_an_unknown_path_is_404_before_it_is_401(edge: Edge, service: Service, path: str) -> None:
    reply = await edge.ask("GET", path)
    assert reply.status == 404
    assert reply.json["instance"] == path
    assert reply.json["traceId"]
    assert not service.seen


@pytest.mark.contract("W03", "S06", "D09")
@pytest.mark.parametrize(
    "line",
    [
        "X: y",
        "Authorization: Basic dGVzdDp0ZXN0",
        "Authorization: Bearer",
        "Authorization: Bearer nonsense",
        f"Authorization: Bearer {token(secret='another-secret-of-more-than-32-bytes')}",
        f"Authorization: Bearer {token(exp=1_700_000_000, iat=1_699_999_000)}",
    ],
)
async def test_without_a_good_token_it_is_401_and_no_service_is_asked(edge: Edge, service: Service, line: str) -> None:
    reply = await edge.ask("GET", "/api/patients/1", line)
    assert reply.status == 401
    assert reply.one("www-authenticate").startswith("Bearer")
    assert reply.one("content-type") == "application/problem+json"
    assert set(reply.json) == {"type", "title", "status", "detail", "instance", "traceId"}
    assert not service.seen


@pytest.mark.contract("D18", "S09")
@pytest.mark.parametrize(
    ("method", "path", "user", "admin"),
    [
        ("GET", "/api/patients", 200, 200),
        ("POST", "/api/patients", 200, 200),
        ("DELETE", "/api/patients/1", 403, 200),
        ("DELETE", "/api/appointments/1", 200, 200),
        ("GET", "/api/analytics/summary", 403, 200),
        ("GET", "/api/billing/accounts/1", 403, 200),
        ("HEAD", "/api/billing/accounts/1", 403, 200),
    ],
)
async def test_a_role_may_what_its_permissions_say(
    edge: Edge, service: Service, method: str, path: str, user: int, admin: int
) -> None:
    for role, expected in (("USER", user), ("ADMIN", admin), ("STRANGER", 403)):
        for _ in range(2):  # the second answer comes from what is remembered
            reply = await edge.ask(method, path, f"Authorization: Bearer {token(role)}")
            assert reply.status == expected, role
    assert all(seen.method == method for seen in service.seen)


async def test_what_is_remembered_of_one_method_opens_no_other(edge: Edge, service: Service) -> None:
    lines = f"Authorization: Bearer {token('USER')}"
    async with edge.connect() as line:
        assert (await line.ask("GET", "/api/patients/1", lines)).status == 200
        assert (await line.ask("DELETE", "/api/patients/1", lines)).status == 403
        assert (await line.ask("GET", "/api/patients/1", lines)).status == 200
    assert [seen.method for seen in service.seen] == ["GET", "GET"]


@pytest.mark.contract("D07")
@pytest.mark.parametrize("path", ["/api/actuator/health", "/auth/../actuator/health", "/api/patients/..;/actuator"])
async def test_the_actuator_of_a_service_is_behind_no_path(
    edge: Edge, service: Service, bearer: str, path: str
) -> None:
    assert (await edge.ask("GET", path, bearer)).status in {400, 404}
    assert not service.seen


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "FOO"])
async def test_a_method_that_nobody_serves_is_405(edge: Edge, service: Service, bearer: str, method: str) -> None:
    reply = await edge.ask(method, "/api/patients", bearer)
    assert reply.status == 405
    assert reply.one("allow") == ", ".join(METHODS)
    assert not service.seen


def test_the_table_speaks_of_permissions_that_exist_and_hides_no_page() -> None:
    known = frozenset().union(*ROLES.values())
    table = RouteTable()
    for route in ROUTES:
        assert set(route.scopes.values()) <= known
        assert table.find(route.path.encode()) is route
        assert not route.path.startswith(tuple(page for page in OWN_PAGES if page != "/"))
        assert (table.find(f"{route.path}/x".encode()) is route) is not route.exact
    assert json.dumps([route.path for route in ROUTES])
