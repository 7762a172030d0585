"""HTTP as every service speaks it: problems, ids, actuator pages, and what a proxy may say."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2 as httpx
import pytest
from chassis.actuator import Health
from chassis.app import create_app
from chassis.auth import Principal, Requires, TokenVerifier
from chassis.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PlatformError,
    PreconditionFailed,
    TooManyRequests,
    Unavailable,
)
from chassis.settings import ServiceSettings, TokenSettings
from chassis.testing import JWT_SECRET, serve, token
from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response
from structlog.testing import capture_logs

PROBLEM = {"type", "title", "status", "detail", "instance", "traceId"}


class Settings(ServiceSettings, TokenSettings):
    service_name = "http-test"


class Thing(BaseModel):
    name: str = Field(min_length=1, max_length=5)
    size: int = 0


class Piece:
    """A part whose health the tests set."""

    role = None

    def __init__(self, name: str, *, critical: bool) -> None:
        self.name = name
        self.critical = critical
        self.up = True
        self.moves = True

    def alive(self) -> bool:
        return self.moves

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def health(self) -> Health:
        if not self.up:
            raise RuntimeError("canary of a health check")
        return Health(up=True)


ERRORS: dict[str, PlatformError] = {
    "400": Invalid("something is wrong"),
    "403": Forbidden(),
    "404": NotFound("thing"),
    "409": Conflict("taken", "name"),
    "412": PreconditionFailed(),
    "429": TooManyRequests(3.2),
    "503": Unavailable("database", retry_after=2),
}


def router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/errors/{status}")
    async def fail(status: str) -> None:
        raise ERRORS[status]

    @routes.get("/crash")
    async def crash() -> None:
        raise RuntimeError("canary of a crash")

    @routes.get("/crash/{place}")
    async def crash_directly(place: str) -> Response:
        raise RuntimeError("canary of a crash")

    @routes.post("/things", status_code=201)
    async def create(thing: Thing) -> dict[str, str]:
        return {"name": thing.name}

    @routes.get("/things")
    async def things() -> list[int]:
        return [1, 2, 3]

    @routes.get("/mine")
    async def mine(who: Annotated[Principal, Requires("things:read")]) -> dict[str, str]:
        return {"role": who.role}

    return routes


@pytest.fixture
def parts() -> list[Piece]:
    return [Piece("db", critical=True), Piece("redis", critical=False)]


@pytest.fixture
async def client(parts: list[Piece]) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(parts) as client:
        yield client


def serving(parts: Any = (), **environ: str) -> Any:
    import contextlib

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[httpx.AsyncClient]:
        settings = Settings.from_environ({"JWT_SECRET": JWT_SECRET} | environ)
        app = create_app(
            settings,
            routers=[router()],
            parts=parts,
            permissions={"ADMIN": frozenset({"things:read"})},
            state={"tokens": TokenVerifier(settings)},
        )
        async with serve(app) as url, httpx.AsyncClient(base_url=url) as client:
            yield client

    return opened()


@pytest.mark.contract("D09", "P16")
@pytest.mark.parametrize("status", sorted(ERRORS))
async def test_every_error_is_a_problem(client, status) -> None:
    answer = await client.get(f"/errors/{status}")
    assert answer.status_code == int(status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body.keys() >= PROBLEM
    assert body["status"] == int(status)
    assert body["type"].startswith("https://example.com/errors/")
    assert body["instance"] == f"/errors/{status}"
    assert len(body["traceId"]) == 32
    slug = body["type"].rpartition("/")[2]
    assert answer.headers["Link"] == f'</api-docs/problems/{slug}>; rel="help"'
    assert (await client.get("/errors/400?token=secret")).json()["instance"] == "/errors/400"


@pytest.mark.contract("D08", "D09")
async def test_what_the_framework_refuses_is_a_problem_too(client) -> None:
    json_type = {"Content-Type": "application/json"}
    expected = {
        400: await client.post("/things", content=b"{", headers=json_type),
        401: await client.get("/mine"),
        403: await client.get("/mine", headers={"Authorization": f"Bearer {token('USER')}"}),
        404: await client.get("/nowhere"),
        405: await client.delete("/things"),
        413: await client.post("/things", content=b'"' + b"x" * 1_048_577 + b'"', headers=json_type),
        415: await client.post("/things", content=b"name=x", headers={"Content-Type": "text/plain"}),
    }
    for status, answer in expected.items():
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json().keys() >= PROBLEM
        assert answer.json()["status"] == status
    assert expected[405].headers["Allow"] == "GET, HEAD, POST"
    assert expected[401].headers["WWW-Authenticate"] == "Bearer"
    assert (await client.get("/errors/429")).headers["Retry-After"] == "4"


async def test_a_chunked_body_is_limited_too(client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 32_768

    answer = await client.post("/things", content=chunks(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


async def test_a_length_of_thousands_of_digits_is_no_crash(client) -> None:
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    length = b"0" * 5_000 + b"2"
    writer.write(
        b"POST /things HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Content-Length: " + length + b"\r\n\r\n{}"
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.contract("D09")
async def test_validation_lists_every_field_and_no_value(client) -> None:
    answer = await client.post("/things", json={"name": "much too long", "size": "canary"})
    body = answer.json()
    assert body["title"] == "Validation Failed"
    assert {error["field"] for error in body["errors"]} == {"name", "size"}
    assert body["detail"] == f"{body['errors'][0]['field']} {body['errors'][0]['message']}"
    assert "canary" not in answer.text
    assert "much" not in answer.text.replace("must", "")


@pytest.mark.parametrize("path", ["/crash", "/crash/directly"])
async def test_a_crash_shows_and_logs_where_but_never_what(client, path) -> None:
    with capture_logs() as lines:
        answer = await client.get(path)
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json().keys() == PROBLEM
    assert (answer.json()["title"], answer.json()["instance"]) == ("Internal Server Error", path)
    assert "canary" not in answer.text
    assert any(line["event"] == "request failed" for line in lines)


@pytest.mark.contract("D21", "O14")
async def test_request_ids_are_kept_when_well_formed_and_made_otherwise(client) -> None:
    assert (await client.get("/things", headers={"X-Request-ID": "abc-123"})).headers["X-Request-ID"] == "abc-123"
    for bad in ("", "x" * 129, "with space", "tab\there"):
        made = (await client.get("/things", headers={"X-Request-ID": bad})).headers["X-Request-ID"]
        assert made != bad
        assert len(made) == 32
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    assert (await client.get("/errors/404", headers=headers)).json()["traceId"] == trace


@pytest.mark.contract("D07", "D13")
async def test_a_prefix_is_believed_only_from_a_trusted_proxy(client) -> None:
    headers = {"X-Forwarded-Prefix": "/api"}
    assert (await client.get("/errors/404", headers=headers)).json()["instance"] == "/errors/404"
    async with serving(TRUSTED_PROXIES="127.0.0.0/8") as trusting:
        for prefix, outside in {"/api": "", "": "", "/hospital/api": "/hospital", "/hospital": "/hospital"}.items():
            seen = await trusting.get("/errors/404", headers={"X-Forwarded-Prefix": prefix})
            assert seen.json()["instance"] == f"{prefix}/errors/404"
            assert seen.headers["Link"] == f'<{outside}/api-docs/problems/not-found>; rel="help"'


@pytest.mark.contract("O01", "O02", "O03", "O04")
async def test_the_actuator_tells_how_things_are(client, parts) -> None:
    health = await client.get("/actuator/health")
    assert health.status_code == 200
    assert health.json() == {"status": "UP", "components": {"db": {"status": "UP"}, "redis": {"status": "UP"}}}
    parts[1].up = False
    degraded = await client.get("/actuator/health")
    assert degraded.status_code == 200
    assert degraded.json()["status"] == "UP"
    assert degraded.json()["components"]["redis"]["status"] == "DOWN"
    assert "canary" not in degraded.text
    parts[0].up = False
    down = await client.get("/actuator/health")
    assert (down.status_code, down.json()["status"]) == (503, "DOWN")
    assert (await client.get("/actuator/health/readiness")).status_code == 503
    assert (await client.get("/actuator/health/liveness")).status_code == 200
    parts[1].moves = False
    assert (await client.get("/actuator/health/liveness")).status_code == 503
    names = (await client.get("/actuator/metrics")).json()["names"]
    assert "http_requests" in names
    one = (await client.get("/actuator/metrics/http_requests")).json()
    assert one.keys() == {"name", "description", "measurements", "availableTags"}
    assert (await client.get("/actuator/metrics/nothing")).status_code == 404
    assert "http_requests_total" in (await client.get("/actuator/prometheus")).text
    info = (await client.get("/actuator/info")).json()
    assert info["app"]["name"] == "http-test"
    assert info["roles"] == ["api"]  # it was asked to consume and relay too, and has nothing that could


@pytest.mark.contract("O05")
async def test_endpoints_that_are_not_exposed_do_not_exist() -> None:
    async with serving(MANAGEMENT_ENDPOINTS_WEB_EXPOSURE_INCLUDE="health") as client:
        assert (await client.get("/actuator/health")).status_code == 200
        for hidden in ("info", "metrics", "prometheus"):
            assert (await client.get(f"/actuator/{hidden}")).status_code == 404


@pytest.mark.contract("O06")
async def test_metrics_cover_the_process_the_loop_and_http(client) -> None:
    await client.get("/things")
    text = (await client.get("/actuator/prometheus")).text
    for family in ("python_gc_collections", "process_resident_memory_bytes", "event_loop_lag_seconds", "build_info"):
        assert family in text
    assert 'http_request_duration_seconds_count{handler="/things",method="GET"}' in text


@pytest.mark.contract("O13", "O14")
def test_every_log_line_of_a_process_is_json_with_its_ids() -> None:
    import os
    import subprocess
    import sys

    program = (
        "from chassis import correlation, logs; import logging\n"
        "logs.configure('a-service', 'info')\n"
        "with correlation.message_context({'x-request-id': 'r-1'}):\n"
        "    logs.logger('x').info('projection updated', version=3)\n"
        "    logging.getLogger('library').warning('a library speaks')\n"
        "    try: {}['canary']\n"
        "    except KeyError: logs.logger('x').error('failed', exc_info=True)\n"
    )
    environ = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 3
    assert all(line["requestId"] == "r-1" and line["service"] == "a-service" for line in lines)
    assert all(line.keys() >= {"time", "level", "event", "traceId"} for line in lines)
    assert lines[2]["error"] == "KeyError"
    assert "canary" not in done.stdout


async def test_no_cache_and_no_browser_keeps_an_answer() -> None:
    async with serving() as client:
        for path in ("/things", "/errors/404", "/crash", "/nothing"):
            assert (await client.get(path)).headers.get_list("cache-control") == ["no-store"], path
