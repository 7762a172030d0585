"""What auth is told: the keys it signs with, its first users, and demo data."""

import asyncio
import uuid
from contextlib import AsyncExitStack

import httpx2 as httpx
import pytest
from auth_service.main import create_app
from auth_service.settings import Settings
from chassis.environ import ConfigurationError
from chassis.testing import serve, token
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwt

DEMO = {"email": "testuser@test.com", "password": "password123"}


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


async def log_in(client: httpx.AsyncClient, who: dict[str, str]) -> str:
    answer = await client.post("/auth/login", json=who)
    assert answer.status_code == 200
    return answer.json()["token"]


def key_pair() -> tuple[str, str]:
    """A new private key and its public half, in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.mark.contract("D10", "S13")
async def test_with_a_private_key_tokens_are_rs256_and_the_public_half_is_published(environ) -> None:
    pem, _ = key_pair()
    settings = Settings.from_environ(environ | {"SQL_INIT_MODE": "always", "BCRYPT_COST": "4", "JWT_PRIVATE_KEY": pem})
    async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url) as client:
        issued = await log_in(client, DEMO)
        answer = await client.get("/.well-known/jwks.json")
        assert answer.headers.get_list("cache-control") == ["public, max-age=300"]
        published = answer.json()["keys"]
        assert jwt.get_unverified_header(issued) == {"alg": "RS256", "typ": "JWT", "kid": published[0]["kid"]}
        assert jwt.decode(issued, published[0], algorithms=["RS256"])["sub"] == DEMO["email"]
        assert published[0].keys() == {"kty", "n", "e", "alg", "use", "kid"}
        assert (await client.get("/auth/me", headers=bearer(issued))).status_code == 200
        assert (await client.get("/auth/me", headers=bearer(token()))).status_code == 401


@pytest.mark.contract("D10")
async def test_after_a_rotation_tokens_of_the_last_key_stay_valid(environ) -> None:
    """Announced, then signing, then only published, then gone: two keys at a time, each under its own id."""
    (old, old_public), (new, new_public) = key_pair(), key_pair()
    common = environ | {"SQL_INIT_MODE": "always", "BCRYPT_COST": "4"}

    async def state_of(keys: dict[str, str], tokens: list[str]) -> tuple[str, list[str], list[int]]:
        settings = Settings.from_environ(common | keys)
        async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url) as client:
            issued = await log_in(client, DEMO)
            published = (await client.get("/.well-known/jwks.json")).json()["keys"]
            assert all("d" not in each for each in published)
            answers = [(await client.get("/auth/me", headers=bearer(each))).status_code for each in tokens]
            return issued, [each["kid"] for each in published], answers

    first, announced, _ = await state_of({"JWT_PRIVATE_KEY": old, "JWT_PUBLISHED_KEYS": new_public}, [])
    rotated = {"JWT_PRIVATE_KEY": new, "JWT_PUBLISHED_KEYS": old_public}
    second, published, answers = await state_of(rotated, [first])
    assert [jwt.get_unverified_header(each)["kid"] for each in (first, second)] == announced
    assert published == announced[::-1]
    assert answers == [200]
    *_, answers = await state_of({"JWT_PRIVATE_KEY": new}, [first, second])
    assert answers == [401, 200]


@pytest.mark.contract("D10")
@pytest.mark.parametrize("keys", [{"JWT_PUBLISHED_KEYS": key_pair()[1]}, {"JWT_PUBLISHED_KEYS": "no key"}])
def test_published_keys_without_a_signing_key_are_refused(keys) -> None:
    with pytest.raises(ConfigurationError, match="JWT_PUBLISHED_KEYS"):
        Settings.from_environ(keys)


@pytest.fixture
def fresh(postgres, environ) -> dict[str, str]:
    """The environment of a service whose database nobody has seen."""
    name = f"auth_{uuid.uuid4().hex[:8]}"
    postgres.create_database(name, "secret")
    url = f"postgresql://{postgres.host}:{postgres.port}/{name}"
    database = {"DATABASE_URL": url, "DATABASE_USER": name, "DATABASE_PASSWORD": "secret"}
    return environ | database | {"BCRYPT_COST": "4"}


@pytest.mark.contract("S14", "V07", "D18")
async def test_the_demo_admin_comes_only_with_demo_data(fresh) -> None:
    for mode, status in (("never", 401), ("always", 200), ("never", 200)):
        settings = Settings.from_environ(fresh | {"SQL_INIT_MODE": mode})
        async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url) as client:
            assert (await client.post("/auth/login", json=DEMO)).status_code == status, mode
    production = {"APP_ENV": "production", "SQL_INIT_MODE": "always", "JWT_SECRET": "x" * 40, "DATABASE_PASSWORD": "y"}
    with pytest.raises(ConfigurationError, match="SQL_INIT_MODE"):
        Settings.from_environ(production)


@pytest.mark.contract("D18")
async def test_replicas_that_start_at_once_make_the_first_admin_once(fresh, postgres) -> None:
    admin = {"ADMIN_EMAIL": "first.admin@example.com", "ADMIN_PASSWORD": "a-long-passphrase"}
    settings = Settings.from_environ(fresh | admin | {"BCRYPT_COST": "10"})
    async with serve(create_app(settings)):
        pass  # the schema is there: what is left to race for is the user
    name = fresh["DATABASE_USER"]
    postgres.execute("DELETE FROM users", name)
    async with AsyncExitStack() as stack:
        starting = [stack.enter_async_context(serve(create_app(settings))) for _ in range(2)]
        for url in await asyncio.gather(*starting):
            async with httpx.AsyncClient(base_url=url) as client:
                who = {"email": admin["ADMIN_EMAIL"], "password": admin["ADMIN_PASSWORD"]}
                me = await client.get("/auth/me", headers=bearer(await log_in(client, who)))
                assert me.json()["role"] == "ADMIN"
    assert postgres.execute("SELECT count(*) FROM users", name) == "1"
