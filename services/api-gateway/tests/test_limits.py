"""Who asks too often is told so, by every replica together."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from api_gateway.limits import Limiter
from api_gateway.quota import Quota
from api_gateway.settings import Settings
from api_gateway.testing import Edge, Service, running
from chassis.testing import eventually, token
from hpctl.embedded.valkey import Valkey
from hypothesis import given
from hypothesis import strategies as st

Environ = dict[str, str]


@contextlib.asynccontextmanager
async def replicas(service: Service, redis: Environ, **environ: str) -> AsyncIterator[list[Edge]]:
    """Two gateways on one Redis, which is waited for: what holds without its answer is another test's."""
    environ = redis | {"REDIS_TIMEOUT_SECONDS": "10"} | environ
    async with running(service, **environ) as one, running(service, **environ) as two:
        for edge in (one, two):
            health = await edge.ask("GET", "/actuator/health")
            assert health.json["components"]["redis"]["status"] == "UP"
        yield [one, two]


async def burst(edges: list[Edge], path: str, count: int, *lines: str) -> list[int]:
    """The statuses of `count` requests that arrive at once, spread over the gateways."""
    asked = (edges[number % len(edges)].ask("GET", path, *lines) for number in range(count))
    return [reply.status for reply in await asyncio.gather(*asked)]


@pytest.mark.contract("W05", "D19")
async def test_two_replicas_share_an_exact_quota_exactly(service: Service, redis_environ: Environ) -> None:
    async with replicas(service, redis_environ, RATE_LIMITS="auth=0.01/5") as edges:
        statuses = await burst(edges, "/auth/login", 40)
        assert statuses.count(200) == 5
        assert statuses.count(429) == 35


@pytest.mark.contract("W05", "D19")
async def test_two_replicas_overrun_a_larger_quota_by_two_percent_at_most(
    service: Service, redis_environ: Environ
) -> None:
    line = f"Authorization: Bearer {token(subject='burst@example.com')}"
    async with replicas(service, redis_environ, RATE_LIMITS="default=50/100") as edges:
        started = time.monotonic()
        statuses = await burst(edges, "/api/patients", 400, line)
        most = 102 + 50 * (time.monotonic() - started)
        assert 100 <= statuses.count(200) <= most
        assert statuses.count(429) == 400 - statuses.count(200)


@pytest.mark.contract("W04", "W06", "D19")
async def test_one_route_is_used_up_while_another_is_free(service: Service, redis_environ: Environ) -> None:
    mine, other = (f"Authorization: Bearer {token(subject=who)}" for who in ("a@example.com", "b@example.com"))
    limits = "patients=0.1/3,auth=0.1/2"
    async with running(service, **redis_environ, RATE_LIMITS=limits) as edge:
        statuses = [(await edge.ask("GET", "/api/patients", mine)).status for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        refused = await edge.ask("GET", "/api/patients", mine)
        assert 1 <= int(refused.one("retry-after")) <= 10
        assert refused.one("x-ratelimit-remaining") == "0"
        assert refused.one("content-type") == "application/problem+json"
        assert (await edge.ask("GET", "/api/appointments", mine)).status == 200
        assert (await edge.ask("GET", "/api/patients", other)).status == 200
    assert len(service.seen) == 5


@pytest.mark.contract("D19")
def test_the_defaults_are_those_of_the_contract() -> None:
    settings = Settings.from_environ({})
    assert settings.quota("patients", "default") == Quota("default", 50, 100)
    assert settings.quota("auth", "auth") == Quota("auth", 5, 5)
    assert settings.cors_allowed_origins == {"http://localhost:3000"}


@pytest.mark.contract("D19")
async def test_without_redis_the_local_limit_holds(service: Service) -> None:
    line = f"Authorization: Bearer {token(subject='local@example.com')}"
    async with running(service, RATE_LIMITS="default=21/30,auth=0.1/5") as edge:
        assert (await burst([edge], "/auth/register", 20)).count(200) == 5  # which tells of an address that it is taken
        assert (await burst([edge], "/auth/login", 20)).count(200) == 0
        started = time.monotonic()
        allowed = (await burst([edge], "/api/patients", 100, line)).count(200)
        assert 30 <= allowed <= 31 + 21 * (time.monotonic() - started)


async def test_a_silent_redis_costs_a_moment_and_the_limit_holds(
    service: Service, valkey: Valkey, redis_environ: Environ
) -> None:
    page = "/.well-known/jwks.json"
    async with running(service, **redis_environ, RATE_LIMITS="jwks=0.01/5") as edge:
        assert (await burst([edge], page, 2)).count(200) == 2
        valkey.pause()
        try:
            started = time.monotonic()
            assert (await burst([edge], page, 10)).count(200) == 3
            assert time.monotonic() - started < 5
        finally:
            valkey.resume()
        link = edge.app.state.parts[0]
        await eventually(lambda: link.up)
        assert (await edge.ask("GET", page)).status == 429


async def test_who_forges_tokens_is_limited_by_address(service: Service) -> None:
    async with running(service, RATE_LIMITS="default=0.1/5") as edge:
        statuses = [
            (await edge.ask("GET", "/api/patients", f"Authorization: Bearer forged{number}")).status
            for number in range(8)
        ]
        assert statuses == [401] * 5 + [429] * 3
    assert not service.seen


@given(
    rate=st.floats(0.5, 2000),
    burst_=st.integers(1, 200),
    pauses=st.lists(st.floats(0, 0.5), min_size=1, max_size=200),
)
def test_the_limiter_agrees_with_a_bucket_that_leaks(rate: float, burst_: int, pauses: list[float]) -> None:
    now = 0.0
    quota = Quota("q", rate, burst_)
    limiter = Limiter(None, clock=lambda: now)
    account = limiter.account("q", quota, "c")
    level = 0.0
    for pause in pauses:
        now += pause
        level = max(0.0, level - pause * rate)
        decision = limiter.take(account)
        assert decision is not None
        if abs(level + 1 - burst_) > 1e-3:
            assert decision.allowed == (level + 1 <= burst_)
        if decision.allowed:
            level += 1
            assert abs(decision.remaining - (burst_ - level)) <= 1.001
        else:
            assert abs(decision.retry_after - (level + 1 - burst_) / rate) < 1e-3 / rate + 1e-6
