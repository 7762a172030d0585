"""With published keys, only the issuer can sign: the others fetch its public half, and keep it while it is away."""

import time
from typing import Annotated, Any

import httpx2 as httpx
import pytest
from chassis.app import create_app
from chassis.auth import Principal, Requires, TokenVerifier
from chassis.issuer import TokenIssuer
from chassis.jwks import RETRY_SECONDS
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


@pytest.mark.contract("D10")
async def test_a_key_that_is_new_is_asked_for_at_once_and_not_for_every_forged_token() -> None:
    old, new, stranger = issuer(), issuer(), issuer()
    published: list[Any] = [old.jwks]
    asked: list[float] = []
    routes = APIRouter()

    @routes.get("/.well-known/jwks.json")
    async def keys() -> Any:
        asked.append(time.monotonic())
        return published[-1]

    async with (
        serve(create_app(Settings.from_environ({}), routers=[routes])) as auth,
        serve(guarded(f"{auth}/.well-known/jwks.json")) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):

        async def accepted(signer: TokenIssuer) -> bool:
            bearer = {"Authorization": f"Bearer {signer.issue('a@example.com', 'USER')}"}
            return (await client.get("/mine", headers=bearer)).status_code == 200

        await eventually(lambda: accepted(old))
        published.append(new.jwks)
        await eventually(lambda: accepted(new))
        assert not await accepted(old)
        began, before = time.monotonic(), len(asked)
        for _ in range(100):
            assert not await accepted(stranger)
        assert len(asked) - before <= 1 + (time.monotonic() - began) / RETRY_SECONDS
