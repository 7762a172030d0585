"""One transaction per request: committed before the answer, on one lazy connection, or not at all."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated, Any

import asyncpg
import httpx2 as httpx
import pytest
import sqlalchemy as sa
from chassis.app import create_app
from chassis.auth import Principal, Requires, TokenVerifier
from chassis.batch import Batches
from chassis.db import Database, InTransaction, Reads
from chassis.errors import Conflict, Unavailable
from chassis.http import JsonResponse
from chassis.postgres import DatabaseSettings
from chassis.settings import ServiceSettings, TokenSettings
from chassis.statement import Statement
from chassis.testing import eventually, serve, token
from chassis.transaction import Transaction
from fastapi import APIRouter
from pydantic import BaseModel
from sqlmodel import Field, SQLModel
from starlette.responses import Response

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
  BEGIN
    IF NEW.name LIKE 'refused%' THEN RAISE EXCEPTION 'no'; END IF;
    IF NEW.name LIKE 'cut%' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    IF NEW.name LIKE 'slow%' THEN PERFORM pg_sleep(3); END IF;
    RETURN NULL;
  END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  EXECUTE FUNCTION refuse();
"""


def router(after: list[str]) -> APIRouter:
    routes = APIRouter()

    @routes.post("/items", status_code=201)
    async def create(
        who: Annotated[Principal, Requires("items:write")], new: ItemCreate, tx: InTransaction
    ) -> dict[str, str]:
        return await create_item(new, tx)

    @routes.post("/direct/items")
    async def create_directly(
        who: Annotated[Principal, Requires("items:write")], new: ItemCreate, tx: InTransaction
    ) -> Response:
        """Answered without the framework in between: chassis.direct opens and ends the transaction."""
        return JsonResponse(await create_item(new, tx), 201)

    async def create_item(new: ItemCreate, tx: Transaction) -> dict[str, str]:
        await tx.execute(INSERT, id=uuid.uuid4(), name=new.name)

        async def told() -> None:
            after.append(new.name)
            if new.name.startswith("trouble"):
                raise RuntimeError("after the commit")

        tx.after_commit(told)
        return {"name": new.name}

    return routes


def unusual(after: list[str]) -> APIRouter:
    """Ways to write that are not the straight one."""
    routes = APIRouter()

    async def together(batch: Sequence[tuple[Database, ItemCreate]]) -> list[None]:
        for database, new in batch:
            await database.execute(INSERT, id=uuid.uuid4(), name=new.name)
            after.append(new.name)
        return [None] * len(batch)

    batches: Batches[tuple[Database, ItemCreate], None] = Batches(together)

    @routes.post("/batched/items", status_code=201)
    async def create_together(new: ItemCreate, reads: Reads) -> None:
        """A statement that is its own transaction, as those of a group commit are."""
        await batches.submit((reads, new))

    @routes.post("/careless", status_code=201)
    async def careless(new: ItemCreate, tx: InTransaction) -> None:
        """Passes over the error of a statement, after which the server commits nothing."""
        for name in (f"first {new.name}", new.name):
            with suppress(Conflict):
                await tx.execute(INSERT, id=uuid.uuid4(), name=name)
        tx.after_commit(partial(told, new.name))

    async def told(name: str) -> None:
        after.append(name)

    return routes


@pytest.fixture
def settings(database_environ: dict[str, str], environ: dict[str, str]) -> Settings:
    return Settings.from_environ(environ | database_environ | {"DATABASE_TIMEOUT_SECONDS": "1"})


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
        routers=[router(after), unusual(after)],
        parts=[database],
        permissions={"ADMIN": frozenset({"items:write"})},
        state={"database": database, "tokens": TokenVerifier(settings)},
    )
    async with serve(app) as url, httpx.AsyncClient(base_url=url, headers=ADMIN, timeout=10) as client:
        yield client


@pytest.mark.parametrize("path", ["/items", "/direct/items", "/batched/items"])
@pytest.mark.parametrize(
    ("name", "status"), [("refused at the commit", 500), ("cut at the commit", 503), ("slow to commit", 503)]
)
async def test_a_commit_that_fails_never_answers_2xx(client, database, after, path, name, status) -> None:
    answer = await client.post(path, json={"name": name})
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert await database.fetch_value(COUNT) == 0
    assert after == []
    assert (await client.post(path, json={"name": "fine"})).status_code == 201
    assert (await database.fetch_value(COUNT), after) == (1, ["fine"])


async def test_an_error_that_a_handler_passes_over_is_no_commit(client, database, after) -> None:
    assert (await client.post("/items", json={"name": "taken"})).status_code == 201
    assert (await client.post("/careless", json={"name": "taken"})).status_code == 500
    assert (await database.fetch_value(COUNT), after) == (1, ["taken"])
    assert (await client.post("/careless", json={"name": "free"})).status_code == 201
    assert (await database.fetch_value(COUNT), after) == (3, ["taken", "free"])


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


async def test_a_statement_that_takes_too_long_ends_on_the_server_too(database, database_url) -> None:
    await database.start()
    watcher = await asyncpg.connect(database_url)

    async def ended() -> bool:
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"
        return not await watcher.fetchval(f"{running} AND state = 'active'")

    try:
        with pytest.raises(Unavailable):
            await database.fetch_value(Statement(sa.select(sa.cast(sa.func.pg_sleep(60), sa.Text))))
        await eventually(ended)
    finally:
        await watcher.close()
        await database.stop()


def test_a_statement_refuses_what_would_surprise() -> None:
    with pytest.raises(TypeError, match="missing"):
        INSERT.arguments({"id": uuid.uuid4()})
    with pytest.raises(TypeError, match="unknown"):
        INSERT.arguments({"id": uuid.uuid4(), "name": "x", "colour": "blue"})
    hidden = sa.Table("hidden", sa.MetaData(), sa.Column("a", sa.Integer), sa.Column("b", sa.Integer, default=7))
    with pytest.raises(ValueError, match="Python-side default"):
        Statement(sa.insert(hidden).values(a=sa.bindparam("a")))
    assert Statement(sa.insert(hidden).values(a=sa.bindparam("a"), b=sa.bindparam("b"))).sql.count("$") == 2
