"""What a real server's errors become: an answer, a second try, and a session that is kept, dropped or renewed."""

import re
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx2 as httpx
import pytest
import sqlalchemy as sa
from chassis import edge, startup
from chassis.app import create_app
from chassis.batch import Batches
from chassis.classification import Session, Verdict, of_sqlstate, session_after
from chassis.db import Database, InTransaction, Reads
from chassis.errors import PlatformError, Unavailable
from chassis.http import JsonResponse
from chassis.migrations import Migrations
from chassis.postgres import DatabaseSettings
from chassis.settings import ServiceSettings
from chassis.statement import Statement
from chassis.testing import eventually, serve
from fastapi import APIRouter
from starlette.responses import Response

pytestmark = pytest.mark.contract("Z01")

CODES = re.findall(r"^(\w{5}) \w+$", (Path(__file__).parents[1] / "sqlstates.txt").read_text(), re.MULTILINE)
RAISED = [code for code in CODES if code[:2] not in ("00", "01", "02")]  # those are no errors

ITEM = sa.table("world_item", sa.column("name", sa.Text))
INSERT = Statement(sa.insert(ITEM).values(name=sa.bindparam("name")))
COUNT = Statement(sa.select(sa.func.count()).select_from(ITEM))
PID = Statement(sa.select(sa.func.pg_backend_pid()))
TABLE = """
DROP TABLE IF EXISTS world_item;
CREATE TABLE world_item (name text NOT NULL);
CREATE SEQUENCE IF NOT EXISTS tries;
CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE code text := split_part(NEW.name, ' ', 2);
  BEGIN
    IF NEW.name LIKE 'always %' OR (NEW.name LIKE 'once %' AND nextval('tries') % 2 = 1) THEN
      RAISE EXCEPTION 'Jane Canary' USING ERRCODE = code;
    END IF;
    RETURN NEW;
  END $$;
CREATE TRIGGER fails BEFORE INSERT ON world_item FOR EACH ROW EXECUTE FUNCTION fail();
ALTER SEQUENCE tries RESTART;
"""


class Settings(ServiceSettings, DatabaseSettings):
    service_name = "world-test"


def routes() -> APIRouter:
    """The ways to write that a service has."""
    router = APIRouter()

    @router.post("/direct/{name}")
    async def direct(name: str, tx: InTransaction) -> Response:
        await tx.execute(INSERT, name=name)
        return JsonResponse({}, 201)

    @router.post("/framework/{name}", status_code=201)
    async def framework(name: str, body: dict[str, str], tx: InTransaction) -> dict[str, str]:
        await tx.execute(INSERT, name=name)
        return body

    async def together(batch: Sequence[tuple[Database, str]]) -> list[None]:
        for database, name in batch:
            await database.execute(INSERT, name=name)
        return [None] * len(batch)

    batches: Batches[tuple[Database, str], None] = Batches(together)

    @router.post("/batched/{name}", status_code=201)
    async def batched(name: str, reads: Reads) -> None:
        await batches.submit((reads, name))

    return router


@pytest.fixture
async def database(database_environ: dict[str, str], database_url: str) -> Database:
    connection = await asyncpg.connect(database_url)
    await connection.execute(TABLE)
    await connection.close()
    settings = Settings.from_environ(database_environ | {"DATABASE_POOL_SIZE": "1"})
    return Database(settings)


@pytest.fixture
async def client(database: Database, environ: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.from_environ(environ)
    app = create_app(settings, routers=[routes()], parts=[database], state={"database": database})
    async with serve(app) as url, httpx.AsyncClient(base_url=url, timeout=10) as client:
        yield client


async def test_every_code_of_the_server_has_its_answer(client, database, monkeypatch) -> None:
    """4xx for what the request may have caused, 503 for the world's, 500 for ours: over HTTP as in a consumer."""
    # Outside of a process traces are drawn for people, each of which takes longer than a hundred requests.
    monkeypatch.setattr(edge, "log", SimpleNamespace(error=lambda *_, **__: None))
    kinds = {Verdict.MESSAGE: (400, 409), Verdict.WORLD: (503,), Verdict.BUG: (500,)}
    for code in RAISED:
        answer = await client.post(f"/direct/always {code}")
        assert answer.status_code in kinds[of_sqlstate(code)], code
        assert ("retry-after" in answer.headers) == (answer.status_code == 503), code
        assert "Canary" not in answer.text
    assert await database.fetch_value(COUNT) == 0


@pytest.mark.parametrize("code", ["40001", "40P01"])
@pytest.mark.parametrize("path", ["direct", "framework", "batched"])
async def test_a_lost_race_is_run_once_more_and_then_given_up(client, database, path: str, code: str) -> None:
    answer = await client.post(f"/{path}/once {code}", json={"kept": "body"})
    assert answer.status_code == 201, answer.text
    assert path != "framework" or answer.json() == {"kept": "body"}
    assert await database.fetch_value(COUNT) == 1
    answer = await client.post(f"/{path}/always {code}", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert await database.fetch_value(COUNT) == 1


async def test_a_session_is_kept_unless_the_world_has_changed(database) -> None:
    """Of a pool of one: whether it is still the same after each error of the server, alone and in a transaction."""
    await database.start()
    database.pool._watch.cancel()  # it renews all sessions, too, once it finds that writes are possible
    try:
        for code in RAISED:
            error = asyncpg.PostgresError("x")
            error.sqlstate = code
            database.pool._renewed = -60.0  # as if the last renewal were long ago
            before = await database.fetch_value(PID)
            with pytest.raises((asyncpg.PostgresError, PlatformError)):
                async with database.transaction() as tx:
                    await tx.execute(INSERT, name=f"always {code}")
            with pytest.raises((asyncpg.PostgresError, PlatformError)):
                await database.execute(INSERT, name=f"always {code}")
            kept = await database.fetch_value(PID) == before
            assert kept == (session_after(error) is Session.KEEP), code
    finally:
        await database.stop()


async def test_a_cancelled_statement_keeps_its_session(database_environ, database) -> None:
    """The server gives up before we do: nothing has to be closed, nothing runs on."""
    short = Database(
        Settings.from_environ(database_environ | {"DATABASE_TIMEOUT_SECONDS": "1.5", "DATABASE_POOL_SIZE": "1"})
    )
    await short.start()
    try:
        before = await short.fetch_value(PID)
        with pytest.raises(Unavailable) as caught:
            await short.fetch_value(Statement(sa.select(sa.cast(sa.func.pg_sleep(60), sa.Text))))
        assert isinstance(caught.value.__cause__, asyncpg.QueryCanceledError)
        assert await short.fetch_value(PID) == before
    finally:
        await short.stop()


@pytest.fixture
def secret(database_environ: dict[str, str], tmp_path: Path, postgres: Any) -> Iterator[Path]:
    """A mounted Secret; the role's password is the old one afterwards."""
    (tmp_path / "username").write_text(database_environ["DATABASE_USER"])
    (tmp_path / "password").write_text(database_environ["DATABASE_PASSWORD"])
    yield tmp_path
    alter(postgres, database_environ, database_environ["DATABASE_PASSWORD"])


def alter(postgres: Any, environ: dict[str, str], password: str) -> None:
    user = environ["DATABASE_USER"]
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'"
    postgres.execute(f"ALTER ROLE {user} PASSWORD '{password}'; {ended};")


@pytest.mark.parametrize("by", ["DATABASE_SECRET_DIR", "DATABASE_PASSWORD_FILE"])
async def test_a_rotated_password_is_read_anew(
    database_environ, database, secret: Path, postgres: Any, by: str
) -> None:
    environ = {name: value for name, value in database_environ.items() if name != "DATABASE_PASSWORD"}
    environ |= {by: str(secret if by == "DATABASE_SECRET_DIR" else secret / "password")}
    database = Database(Settings.from_environ(environ))
    await database.start()
    try:
        assert await database.fetch_value(COUNT) == 0
        alter(postgres, environ, "rotated")
        with suppress(Unavailable):  # the session that has just been ended
            await database.fetch_value(COUNT)
        with pytest.raises(Unavailable):
            await database.fetch_value(COUNT)
        (secret / "password").write_text("rotated\n")
        assert await database.fetch_value(COUNT) == 0
    finally:
        await database.stop()


async def test_a_service_starts_without_its_database_and_becomes_ready(
    database, environ, postgres, monkeypatch
) -> None:
    """It is alive and says 503 meanwhile; nobody has to start it again."""
    monkeypatch.setattr(startup, "PATIENCE_SECONDS", 0.3)
    settings = Settings.from_environ(environ | {"DDL_AUTO": "validate"})
    parts = [Migrations(settings, "billing_service"), database]
    settings.ddl_auto = "none"

    class Needs:
        name, role, critical = "needs", None, False

        async def start(self) -> None:
            await database.fetch_value(COUNT)

        async def stop(self) -> None:
            pass

    app = create_app(settings, routers=[routes()], parts=[*parts, Needs()], state={"database": database})
    postgres.stop()
    try:
        async with serve(app) as url, httpx.AsyncClient(base_url=url, timeout=10) as client:
            try:
                assert (await client.get("/actuator/health/liveness")).status_code == 200
                assert (await client.get("/actuator/health/readiness")).status_code == 503
                answer = await client.post("/direct/x")
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
                assert answer.headers["content-type"] == "application/problem+json"
            finally:
                postgres.start()

            async def ready() -> bool:
                return (await client.get("/actuator/health/readiness")).status_code == 200

            await eventually(ready, within=10)
            assert (await client.post(f"/direct/{uuid.uuid4()}")).status_code == 201
    finally:
        postgres.start()
