"""A cache on a real Valkey, beside a real PostgreSQL that has its two tables."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from chassis.cache import Cache
from chassis.db import Database
from chassis.evictions import TABLES
from chassis.postgres import DatabaseSettings
from chassis.settings import CacheSettings, ServiceSettings
from pydantic import BaseModel
from redis import Redis
from sqlalchemy.dialects import postgresql


class Settings(ServiceSettings, DatabaseSettings, CacheSettings):
    service_name = "cache-test"


class Thing(BaseModel):
    """What the entries are said to be."""

    name: str


def create_tables(postgres: Any, environ: dict[str, str]) -> None:
    """As the migrations of the services do; once more is harmless."""
    for model in TABLES:
        table = model.__table__  # type: ignore[attr-defined]  # every table class has one
        made = sa.schema.CreateTable(table, if_not_exists=True).compile(dialect=postgresql.dialect())
        postgres.execute(f"SET ROLE {environ['DATABASE_USER']}; {made}", environ["DATABASE_USER"])


@pytest.fixture
def settings(postgres: Any, database_environ: dict[str, str], redis_environ: dict[str, str]) -> Settings:
    create_tables(postgres, database_environ)
    return Settings.from_environ(database_environ | redis_environ | {"REDIS_TIMEOUT_SECONDS": "0.2"})


@pytest.fixture
def redis(settings: Settings) -> Any:
    password = settings.redis_password
    assert password is not None
    with Redis(
        host=settings.redis_host,
        port=settings.redis_port,
        password=password.get_secret_value(),
        db=settings.redis_database,
    ) as client:
        client.flushdb()
        yield client


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings)
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
async def cache(settings: Settings, redis: Any, database: Database) -> AsyncIterator[Cache]:
    cache = Cache(settings, database, Thing)
    await cache.start()
    yield cache
    await cache.stop()


@pytest.fixture
async def other(settings: Settings, cache: Cache, database: Database) -> AsyncIterator[Cache]:
    """Another replica."""
    other = Cache(settings, database, Thing)
    await other.start()
    yield other
    await other.stop()
