"""Registering, logging in, and what a token is good for."""

import json
import time
import uuid

import asyncpg
import bcrypt
import httpx2 as httpx
import pytest
from aiokafka import AIOKafkaConsumer
from auth_service.main import create_app
from auth_service.settings import Settings
from chassis.ids import new_id
from chassis.testing import JWT_SECRET, eventually, serve, token
from chassis.text import sort_key
from healthcare_contracts.schemas import closed_schema_of
from jose import jwt
from jsonschema import Draft202012Validator

DEMO = {"email": "testuser@test.com", "password": "password123"}


def somebody(**changes: str) -> dict[str, str]:
    return {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse"} | changes


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


async def log_in(client: httpx.AsyncClient, who: dict[str, str]) -> str:
    answer = await client.post("/auth/login", json=who)
    assert answer.status_code == 200
    return answer.json()["token"]


@pytest.mark.contract("S01", "S05", "S13", "S14", "D10")
async def test_a_login_answers_a_token_for_ten_hours(client) -> None:
    issued = await log_in(client, DEMO)
    claims = jwt.decode(issued, JWT_SECRET, algorithms=["HS256"])
    assert claims["sub"] == DEMO["email"]
    assert claims["role"] == "ADMIN"
    assert claims["exp"] - claims["iat"] == 36_000
    assert (await client.post("/auth/login", json=DEMO | {"password": "wrong"})).status_code == 401
    assert (await client.post("/auth/login", json=somebody())).status_code == 401


@pytest.mark.contract("S02", "S03", "S08", "D08", "D18")
async def test_register_then_log_in_then_me(client) -> None:
    new = somebody()
    answer = await client.post("/auth/register", json=new)
    assert answer.status_code == 201
    assert answer.json().keys() == {"id", "email", "role"}
    assert answer.json()["role"] == "USER"
    assert "Location" not in answer.headers
    upper = new | {"email": new["email"].upper()}
    me = await client.get("/auth/me", headers=bearer(await log_in(client, upper)))
    assert me.json() == answer.json()
    again = await client.post("/auth/register", json=upper)
    assert again.status_code == 409
    assert again.json()["field"] == "email"
    assert new["email"] not in again.text.lower()


@pytest.mark.contract("S15", "D20")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", "short77"),
        ("password", "x" * 73),
        ("password", "ä" * 37),
        ("password", "half\ud800of one"),
        ("email", "nobody"),
        ("email", "Some Body <body@example.com>"),
        ("role", "ROOT"),
    ],
)
async def test_bad_registrations_are_400(client, field, value) -> None:
    body = json.dumps(somebody(**{field: value})).encode()
    answer = await client.post("/auth/register", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
    assert value not in answer.text
    assert "ud800" not in answer.text


@pytest.mark.contract("S15", "S01")
async def test_all_72_bytes_of_a_password_count_and_no_73rd(client) -> None:
    for password in ("x" * 8, "y" * 72, "ä" * 36, "  spaces count  "):
        new = somebody(password=password)
        assert (await client.post("/auth/register", json=new)).status_code == 201
        assert await log_in(client, new)
        for other in (password + "x", password[:-1], password.strip() + "!"):
            assert (await client.post("/auth/login", json=new | {"password": other})).status_code == 401


@pytest.mark.contract("S01")
@pytest.mark.parametrize("email", ["no\0body@example.com", "' OR 1=1 --", "x" * 255])
async def test_a_login_with_an_odd_address_is_401(client, email) -> None:
    assert (await client.post("/auth/login", json={"email": email, "password": "whatever"})).status_code == 401
    assert (await client.get("/auth/me", headers=bearer(token(subject=email)))).status_code == 401


@pytest.mark.contract("S09", "D18")
async def test_only_an_admin_registers_admins(client) -> None:
    wanted = somebody(role="ADMIN")
    user = await log_in(client, await _registered(client))
    assert (await client.post("/auth/register", json=wanted)).status_code == 403
    assert (await client.post("/auth/register", json=wanted, headers=bearer(user))).status_code == 403
    admin = await log_in(client, DEMO)
    assert (await client.post("/auth/register", json=wanted, headers=bearer(admin))).json()["role"] == "ADMIN"


@pytest.mark.contract("D18")
async def test_closed_registration_needs_an_admin(settings) -> None:
    closed = settings.model_copy(update={"registration": "admin"})
    async with serve(create_app(closed)) as url, httpx.AsyncClient(base_url=url) as client:
        for new in (somebody(), somebody() | {"email": DEMO["email"]}):  # a stranger does not learn who has an account
            assert (await client.post("/auth/register", json=new)).status_code == 401
        admin = await log_in(client, DEMO)
        assert (await client.post("/auth/register", json=somebody(), headers=bearer(admin))).status_code == 201


async def _registered(client: httpx.AsyncClient) -> dict[str, str]:
    new = somebody()
    assert (await client.post("/auth/register", json=new)).status_code == 201
    return new


@pytest.mark.contract("S04", "S06", "S12")
async def test_validate_is_200_or_401(client) -> None:
    issued = await log_in(client, DEMO)
    for path in ("/auth/validate", "/validate"):
        assert (await client.get(path, headers=bearer(issued))).status_code == 200
        assert (await client.get(path)).status_code == 401
        assert (await client.get(path, headers=bearer(issued[:-2] + "xx"))).status_code == 401
        assert (
            await client.get(path, headers=bearer(token(secret="another secret of some length")))
        ).status_code == 401
        stale = token(iat=int(time.time()) - 40_000, exp=int(time.time()) - 4_000)
        assert (await client.get(path, headers=bearer(stale))).status_code == 401


@pytest.mark.contract("S07", "S10")
async def test_passwords_are_salted_bcrypt_in_the_documented_table(client, database_url) -> None:
    first, second = await _registered(client), await _registered(client)
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT password FROM users WHERE email = ANY($1)", [first["email"], second["email"]])
    columns = await connection.fetch(
        "SELECT column_name, data_type, character_maximum_length, is_nullable FROM information_schema.columns"
        " WHERE table_name = 'users'"
    )
    await connection.close()
    assert all(row["password"].startswith("$2") for row in rows)
    assert rows[0]["password"] != rows[1]["password"]
    described = {row["column_name"]: tuple(row)[1:] for row in columns}
    assert described["id"] == ("uuid", None, "NO")
    assert described["email"] == ("character varying", 255, "NO")
    assert described["password"] == ("character varying", 255, "NO")
    assert described["role"] == ("character varying", 50, "NO")


@pytest.mark.contract("S01")
async def test_an_unknown_address_costs_as_much_as_a_wrong_password(environ) -> None:
    settings = Settings.from_environ(environ | {"SQL_INIT_MODE": "always", "BCRYPT_COST": "11"})
    async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url) as client:

        async def cost(who: dict[str, str]) -> float:
            started = time.perf_counter()
            assert (await client.post("/auth/login", json=who)).status_code == 401
            return time.perf_counter() - started

        user = await _registered(client)
        known, unknown = zip(
            *[(await cost(user | {"password": "wrong"}), await cost(somebody())) for _ in range(5)], strict=True
        )
    assert 0.6 < min(unknown) / min(known) < 1.6  # the least disturbed of each


@pytest.mark.contract("S16", "D16")
async def test_logins_and_registrations_are_audited_without_names(client, settings) -> None:
    new = await _registered(client)
    await log_in(client, new)
    await client.post("/auth/login", json=new | {"password": "wrong"})
    reader = AIOKafkaConsumer(
        settings.kafka_topic_prefix + "auth.audit",
        bootstrap_servers=settings.kafka_bootstrap_servers,
        auto_offset_reset="earliest",
    )
    await reader.start()
    try:
        kinds: list[str] = []
        while not {"auth.user.registered", "auth.login.succeeded", "auth.login.failed"} <= set(kinds):
            record = await reader.getone()
            event = json.loads(record.value)
            Draft202012Validator(closed_schema_of(event["type"])).validate(event)
            kinds.append(event["type"])
            assert new["email"].encode() not in record.value
    finally:
        await reader.stop()


@pytest.mark.contract("S11")
async def test_openapi_is_served_and_the_pages_can_be_switched_off(client, settings) -> None:
    document = (await client.get("/openapi.json")).json()
    assert {"/auth/login", "/auth/register", "/auth/me"} <= document["paths"].keys()
    assert (await client.get("/docs")).status_code == 200
    silent = create_app(settings.model_copy(update={"docs_enabled": False}))
    async with serve(silent) as url, httpx.AsyncClient(base_url=url) as other:
        assert (await other.get("/docs")).status_code == 404
        assert (await other.get("/openapi.json")).status_code == 200


@pytest.mark.contract("S10", "P17")
async def test_an_address_is_its_mailboxs_and_nobody_elses(client) -> None:
    password = {"password": "a-long-passphrase"}
    for address in ("ann@faß.de", "ann@fass.de", "straße@example.com", "strasse@example.com", "ann@bücher.de"):
        assert (await client.post("/auth/register", json={"email": address} | password)).status_code == 201, address
    for address in ("ANN@faß.de", "ann@xn--fa-hia.de", "STRAẞE@example.com", "Ann@xn--bcher-kva.de"):
        assert (await client.post("/auth/register", json={"email": address} | password)).status_code == 409, address
        assert (await client.post("/auth/login", json={"email": address} | password)).status_code == 200, address
    for address in ("a\u3164nn@faß.de", "ann\ufe0f@fass.de"):
        assert (await client.post("/auth/register", json={"email": address} | password)).status_code == 400, ascii(
            address
        )
        assert (await client.post("/auth/login", json={"email": address} | password)).status_code == 401, ascii(address)


@pytest.mark.contract("S10", "X13")
async def test_users_of_the_release_before_log_in_and_stay_unique(client, database_url) -> None:
    """Its own statement, on today's schema, with its own keys; before and after they have today's."""
    connection = await asyncpg.connect(database_url)
    hashed = bcrypt.hashpw(b"a-long-passphrase", bcrypt.gensalt(4)).decode()

    async def register(email: str, key: str | None = None) -> bool:
        insert = "INSERT INTO users (id, email, email_key, password, role) VALUES ($1, $2, $3, $4, $5)"
        try:
            await connection.execute(insert, new_id(), email, key or sort_key(email), hashed, "USER")
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name not in ("uq_users_email_key", "uq_users_email"):  # by these it answers 409
                raise
            return False
        return True

    async def ours(email: str) -> int:
        body = {"email": email, "password": "a-long-passphrase"}
        return (await client.post("/auth/register", json=body)).status_code

    assert await register("Groß@example.com")
    assert await ours("groß@example.com") == 409  # at once
    body = {"email": "groß@example.com", "password": "a-long-passphrase"}
    assert (await client.post("/auth/login", json=body)).status_code == 200
    assert await ours("weiß@example.com") == 201
    assert not await register("Weiß@example.com")
    assert await register("gROß@example.com", key="of an import")

    async def filled() -> bool:
        return not await connection.fetchval("SELECT count(*) FROM users WHERE email_former_key IS NULL")

    await eventually(filled)
    keys = dict(await connection.fetch("SELECT email, email_key FROM users WHERE email ILIKE 'gr%'"))
    assert keys["Groß@example.com"] == "groß@example.com"
    assert keys["gROß@example.com"].startswith("groß@example.com\x01")
    assert await ours("gross@example.com") == 201  # somebody else, and free now
    assert (await client.post("/auth/login", json=body)).status_code == 200
    await connection.close()
