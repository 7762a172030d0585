"""A flood of wrong logins takes the platform away from nobody (real processes, the real cost of a hash)."""

import asyncio
import ssl
import time
import uuid
from collections import Counter
from collections.abc import Callable

import httpx2 as httpx
import pytest

ADDRESSES, GUESSES = 80, 5
PASSWORD = "a long enough passphrase"
TRUST = ssl.create_default_context()


def client(stack, address: str) -> httpx.AsyncClient:
    """A client with an address of its own: all of 127.0.0.0/8 is this machine."""
    transport = httpx.AsyncHTTPTransport(local_address=address, verify=TRUST)
    return httpx.AsyncClient(base_url=stack.gateway, transport=transport, timeout=30)


async def log_in(client: httpx.AsyncClient, email: str, password: str) -> tuple[float, httpx.Response]:
    began = time.perf_counter()
    answer = await client.post("/auth/login", json={"email": email, "password": password})
    return time.perf_counter() - began, answer


def one_account(_: int) -> str:
    return "testuser@test.com"


def unknown_accounts(number: int) -> str:
    return f"nobody-{number}-{uuid.uuid4().hex}@example.com"


@pytest.mark.contract("Z04")
@pytest.mark.parametrize("account", [one_account, unknown_accounts])
async def test_honest_logins_and_tokens_work_through_a_flood_of_wrong_logins(
    stack, account: Callable[[int], str]
) -> None:
    users = [f"{uuid.uuid4().hex}@example.com" for _ in range(11)]
    tokens = []
    async with client(stack, "127.9.0.1") as registrar:
        for email in users:
            answer = await registrar.post("/auth/register", json={"email": email, "password": PASSWORD})
            assert answer.status_code == 201
            await asyncio.sleep(0.25)  # within the quota of an address
        alone, answer = await log_in(registrar, users.pop(), PASSWORD)
        tokens.append(answer.json()["token"])
    attackers = [client(stack, f"127.8.0.{number + 1}") for number in range(ADDRESSES)]
    try:
        flood = [
            asyncio.create_task(log_in(attackers[number % ADDRESSES], account(number), "not this one at all"))
            for number in range(ADDRESSES * GUESSES)
        ]
        honest, checks = await asyncio.gather(_honest(stack, users, max(0.8, 3 * alone)), _checks(stack, tokens[0]))
        guesses = await asyncio.gather(*flood)
    finally:
        await asyncio.gather(*(each.aclose() for each in attackers))
    assert checks == Counter({200: sum(checks.values())})
    in_time = [seconds for seconds, answer in honest if answer.status_code == 200 and seconds < max(3, 6 * alone)]
    slow = [(round(seconds, 2), answer.status_code, answer.text[100:200]) for seconds, answer in honest]
    assert len(in_time) >= 0.9 * len(honest), "\n".join(map(str, slow))
    statuses = Counter(answer.status_code for _, answer in guesses)
    assert statuses.keys() <= {401, 429, 503}
    assert all("retry-after" in answer.headers for _, answer in guesses if answer.status_code != 401)


async def _honest(stack, users: list[str], apart: float) -> list[tuple[float, httpx.Response]]:
    """Each user's first login from an address of its own, some during the burst and some after it."""

    async def first(number: int, email: str) -> tuple[float, httpx.Response]:
        await asyncio.sleep(apart * number)
        async with client(stack, f"127.7.0.{number + 1}") as user:
            return await log_in(user, email, PASSWORD)

    return await asyncio.gather(*(first(number, email) for number, email in enumerate(users)))


async def _checks(stack, token: str) -> Counter[int]:
    """What `/auth/me`, `/auth/validate` and the keys answer meanwhile."""
    statuses: Counter[int] = Counter()
    async with client(stack, "127.6.0.1") as user:
        until = time.monotonic() + 8
        while time.monotonic() < until:
            for path in ("/auth/me", "/auth/validate", "/.well-known/jwks.json"):
                answer = await user.get(path, headers={"Authorization": f"Bearer {token}"})
                statuses[answer.status_code] += 1
            await asyncio.sleep(0.5)
    return statuses
