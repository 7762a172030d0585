"""One transaction per request: committed before the answer, on one lazy connection, or not at all."""

import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

import asyncpg
import httpx2 as httpx
import pytest
import sqlalchemy as sa
from chassis.app import create_app
from chassis.auth import Principal, Requires, TokenVerifier
from chassis.db import Database, InTransaction, Statement
from chassis.errors import Conflict, Unavailable
from chassis.settings import DatabaseSettings, ServiceSettings, TokenSettings
from chassis.testing import eventually, serve, token
from fastapi import APIRouter
from pydantic import BaseModel
from sqlmodel import Field, SQLModel

ADMIN = {"Authorization": f"Bearer {token('ADMIN')}"}


class Settings(ServiceSettings, DatabaseSettings, TokenSettings):
    service_name = "db-test"


class Item(SQLModel, table=True):
    __tablename__ = "item"

    id: uuid.UUID = Field(primary_key=True)
    name: str


class ItemCreate(BaseModel):
    name: str


INSERT = Statement(sa.insert(Item), conflicts={"uq_item_name": "name"})
COUNT = Statement(sa.select(sa.func.count()).select_from(Item))
TABLE = """
DROP TABLE IF EXISTS item;
CREATE TABLE item (id uuid PRIMARY KEY, name text NOT NULL CONSTRAINT uq_item_name UNIQUE);
CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN IF NEW.name LIKE 'refused%' THEN RAISE EXCEPTION 'no'; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  EXECUTE FUNCTION refuse();
"""


def router(after: list[str]) -> APIRouter:
    routes = APIRouter()

    @routes.post("/items", status_code=201)
    async def create(
        who: Annotated[Principal, Requires("items:write")], new: ItemCreate, tx: InTransaction
    ) -> dict[str, str]:
        await tx.execute(INSERT, id=uuid.uuid4(), name=new.name)

        async def told() -> None:
            after.append(new.name)
            if new.name.startswith("trouble"):
                raise RuntimeError("after the commit")

        tx.after_commit(told)
        return {"name": new.name}

    return routes


@pytest.fixture
def settings(database_environ: dict[str, str], environ: dict[str, str]) -> Settings:
    return Settings.from_environ(environ | database_environ | {"DATABASE_TIMEOUT_SECONDS": "2"})


@pytest.fixture
async def database(settings: Settings, database_url: str) -> Database:
    connection = await asyncpg.connect(database_url)
    await connection.execute(TABLE)
    await connection.close()
    return Database(settings)


@pytest.fixture
def after() -> list[str]:
    return []


@pytest.fixture
async def client(settings: Settings, database: Database, after: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        settings,
        routers=[router(after)],
        parts=[database],
        permissions={"ADMIN": frozenset({"items:write"})},
        state={"database": database, "tokens": TokenVerifier(settings)},
    )
    async with serve(app) as url, httpx.AsyncClient(base_url=url, headers=ADMIN, timeout=10) as client:
        yield client


async def test_a_commit_that_fails_never_answers_2xx(client, database, after) -> None:
    answer = await client.post("/items", json={"name": "refused at the commit"})
    assert answer.status_code == 500
    assert await database.fetch_value(COUNT) == 0
    assert after == []
    assert (await client.post("/items", json={"name": "fine"})).status_code == 201
    assert (await database.fetch_value(COUNT), after) == (1, ["fine"])


async def test_trouble_after_the_commit_does_not_change_the_answer(client, database) -> None:
    assert (await client.post("/items", json={"name": "trouble later"})).status_code == 201
    assert await database.fetch_value(COUNT) == 1


async def test_a_unique_violation_is_a_conflict_that_names_the_field(client, database) -> None:
    await client.post("/items", json={"name": "canary"})
    answer = await client.post("/items", json={"name": "canary"})
    assert (answer.status_code, answer.json()["field"]) == (409, "name")
    assert "canary" not in answer.text
    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await tx.execute(INSERT, id=uuid.uuid4(), name="canary")


async def test_a_refused_token_or_body_takes_no_connection(client, database, monkeypatch) -> None:
    taken: list[int] = []
    acquire = database.acquire

    async def counted() -> Any:
        taken.append(1)
        return await acquire()

    monkeypatch.setattr(database, "acquire", counted)
    assert (await client.post("/items", json={"name": "x"}, headers={"Authorization": ""})).status_code == 401
    assert (await client.post("/items", json={"name": 7})).status_code == 400
    assert taken == []
    assert (await client.post("/items", json={"name": "y"})).status_code == 201
    assert taken == [1]


@pytest.mark.contract("O01")
async def test_without_the_database_it_is_503_and_comes_back(client, database, postgres) -> None:
    assert (await client.post("/items", json={"name": "before"})).status_code == 201
    postgres.stop()
    try:
        answer = await client.post("/items", json={"name": "during"})
        assert answer.status_code == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (await client.get("/actuator/health")).status_code == 503
        assert (await client.get("/actuator/health/liveness")).status_code == 200
    finally:
        postgres.start()

    async def back() -> bool:
        return (await client.post("/items", json={"name": f"after {uuid.uuid4()}"})).status_code == 201

    await eventually(back)


async def test_more_requests_than_connections_wait_or_are_refused(settings, database) -> None:
    small = Database(settings.model_copy(update={"database_pool_size": 1, "database_timeout_seconds": 0.3}))
    await small.start()
    try:
        async with small.transaction() as tx:
            await tx.fetch_value(COUNT)
            with pytest.raises(Unavailable):
                await small.fetch_value(COUNT)
    finally:
        await small.stop()


def test_a_statement_refuses_what_would_surprise() -> None:
    with pytest.raises(TypeError, match="missing"):
        INSERT.arguments({"id": uuid.uuid4()})
    with pytest.raises(TypeError, match="unknown"):
        INSERT.arguments({"id": uuid.uuid4(), "name": "x", "colour": "blue"})
    hidden = sa.Table("hidden", sa.MetaData(), sa.Column("a", sa.Integer), sa.Column("b", sa.Integer, default=7))
    with pytest.raises(ValueError, match="Python-side default"):
        Statement(sa.insert(hidden).values(a=sa.bindparam("a")))
    assert Statement(sa.insert(hidden).values(a=sa.bindparam("a"), b=sa.bindparam("b"))).sql.count("$") == 2
