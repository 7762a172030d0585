"""With published keys, only the issuer can sign: the others fetch its public half, and keep it while it is away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import httpx2 as httpx
import pytest
from chassis.app import create_app
from chassis.auth import Principal, Requires, TokenVerifier
from chassis.issuer import TokenIssuer
from chassis.jwks import AT_ONCE, Jwks
from chassis.settings import ServiceSettings, TokenSettings
from chassis.testing import eventually, serve, token
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import APIRouter


class Settings(ServiceSettings, TokenSettings):
    service_name = "jwks-test"


def issuer() -> TokenIssuer:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return TokenIssuer(Settings.from_environ({}), private.decode())


def publishing(*sets: Any) -> Any:
    """One set after the other; the last one stays."""
    routes, left = APIRouter(), list(sets)

    @routes.get("/.well-known/jwks.json")
    async def keys() -> Any:
        return left.pop(0) if len(left) > 1 else left[0]

    return create_app(Settings.from_environ({}), routers=[routes])


def guarded(jwks_url: str) -> Any:
    routes = APIRouter()

    @routes.get("/mine")
    async def mine(who: Annotated[Principal, Requires()]) -> dict[str, str]:
        return {"role": who.role}

    settings = Settings.from_environ({"JWT_JWKS_URL": jwks_url})
    return create_app(settings, routers=[routes], state={"tokens": TokenVerifier(settings)})


@pytest.mark.contract("D10", "S06")
async def test_published_keys_are_fetched_and_outlive_their_publisher() -> None:
    signer = issuer()
    good = {"Authorization": f"Bearer {signer.issue('a@example.com', 'USER')}"}
    async with serve(publishing(signer.jwks)) as auth:
        app = guarded(f"{auth}/.well-known/jwks.json")
        serving = serve(app)
        url = await serving.__aenter__()
        client = httpx.AsyncClient(base_url=url)

        async def accepted() -> bool:
            return (await client.get("/mine", headers=good)).status_code == 200

        await eventually(accepted)
    try:
        assert await accepted()
        stranger = {"Authorization": f"Bearer {issuer().issue('a@example.com', 'ADMIN')}"}
        hmac = {"Authorization": f"Bearer {token('ADMIN', secret='replace-me-secret')}"}
        for bad in (stranger, hmac):
            assert (await client.get("/mine", headers=bad)).status_code == 401
        assert (await client.get("/actuator/health")).json()["components"]["jwks"]["status"] == "UP"
    finally:
        await client.aclose()
        await serving.__aexit__(None, None, None)


@pytest.mark.contract("D10")
async def test_a_malformed_set_of_keys_is_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.jwks.RETRY_SECONDS", 0.05)
    signer = issuer()
    good = {"Authorization": f"Bearer {signer.issue('a@example.com', 'USER')}"}
    strange = [[], {"keys": 7}, {"keys": ["text"]}, {"keys": [{"kty": "RSA", "n": 1}]}, "keys"]
    async with (
        serve(publishing(*strange, signer.jwks)) as auth,
        serve(guarded(f"{auth}/.well-known/jwks.json")) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):

        async def accepted() -> bool:
            return (await client.get("/mine", headers=good)).status_code == 200

        await eventually(accepted)


class Publisher:
    """An issuer that counts how often its keys were asked for, and answers when it may."""

    def __init__(self, *signers: TokenIssuer) -> None:
        self.signers = list(signers)
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def app(self) -> Any:
        routes = APIRouter()

        @routes.get("/.well-known/jwks.json")
        async def keys() -> Any:
            self.asked += 1
            answer = {"keys": [key for signer in self.signers for key in signer.jwks["keys"]]}
            await self.may_answer.wait()
            return answer

        return create_app(Settings.from_environ({}), routers=[routes])


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is refused because this machine is slow."""
    monkeypatch.setattr("chassis.jwks.PATIENCE_SECONDS", 60.0)


@contextlib.asynccontextmanager
async def checked_by(publisher: Publisher) -> AsyncIterator[Callable[[TokenIssuer], Awaitable[int]]]:
    """A service that knows the publisher's keys; gives the status of a request with a new token of an issuer's."""
    async with (
        serve(publisher.app()) as auth,
        serve(guarded(f"{auth}/.well-known/jwks.json")) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as client,
    ):

        async def status(signer: TokenIssuer) -> int:
            bearer = {"Authorization": f"Bearer {signer.issue('a@example.com', 'USER')}"}
            return (await client.get("/mine", headers=bearer)).status_code

        async def known() -> bool:
            health = (await client.get("/actuator/health")).json()
            return health["components"]["jwks"]["status"] == "UP"

        await eventually(known)
        try:
            yield status
        finally:
            publisher.may_answer.set()


@pytest.mark.contract("D10")
async def test_the_first_requests_with_a_new_key_wait_for_it_together(patient: None) -> None:
    old, new = issuer(), issuer()
    publisher = Publisher(old)
    async with checked_by(publisher) as status:
        publisher.signers = [new]
        assert await asyncio.gather(*(status(new) for _ in range(40))) == [200] * 40
        assert publisher.asked <= 3
        assert await status(old) == 401


@pytest.mark.contract("D10")
async def test_a_key_that_is_younger_than_the_answer_under_way_is_waited_for_too(patient: None) -> None:
    old, new, stranger = issuer(), issuer(), issuer()
    publisher = Publisher(old)
    async with checked_by(publisher) as status:
        publisher.may_answer.clear()
        before = publisher.asked
        forged = asyncio.create_task(status(stranger))
        await eventually(lambda: publisher.asked > before)  # the answer is made up already, without the new key
        publisher.signers.append(new)
        late = asyncio.create_task(status(new))
        assert await status(old) == 200
        publisher.may_answer.set()
        assert (await forged, await late) == (401, 200)


@pytest.mark.contract("D10")
async def test_forged_keys_are_asked_for_now_and_then_and_refused_at_once_in_between(
    patient: None, monkeypatch
) -> None:
    known, new, stranger = issuer(), issuer(), issuer()
    publisher = Publisher(known)
    async with checked_by(publisher) as status:
        monkeypatch.setattr("chassis.jwks.RETRY_SECONDS", 3600.0)
        before = publisher.asked
        for _ in range(AT_ONCE + 20):
            assert await status(stranger) == 401
        assert publisher.asked == before + AT_ONCE
        publisher.may_answer.clear()  # whoever waited for an answer would wait in vain
        assert await status(stranger) == 401
        assert await status(known) == 200
        publisher.may_answer.set()
        publisher.signers.append(new)
        assert await status(new) == 401
        monkeypatch.setattr("chassis.jwks.RETRY_SECONDS", 0.01)
        assert await status(new) == 200
        assert publisher.asked == before + AT_ONCE + 1


@pytest.mark.contract("D10")
async def test_an_issuer_that_does_not_answer_holds_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.jwks.TIMEOUT_SECONDS", 60.0)
    known, stranger = issuer(), issuer()
    publisher = Publisher(known)
    async with checked_by(publisher) as status:
        publisher.may_answer.clear()
        forged = asyncio.create_task(status(stranger))
        assert await status(known) == 200
        assert await forged == 401  # though the issuer has not answered


async def test_when_it_ends_whoever_waits_is_told_and_asks_no_more(patient: None) -> None:
    publisher = Publisher(issuer())
    publisher.may_answer.clear()
    async with serve(publisher.app()) as auth:
        url = f"{auth}/.well-known/jwks.json"
        jwks = Jwks(url, TokenVerifier(Settings.from_environ({"JWT_JWKS_URL": url})))
        await jwks.start()
        waiting = asyncio.create_task(jwks.find("a new one"))
        await eventually(lambda: publisher.asked == 1)
        await jwks.stop()
        assert await waiting is False
        publisher.may_answer.set()
    assert publisher.asked == 1
