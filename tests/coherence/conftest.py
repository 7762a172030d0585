"""The database, and two Valkeys that change places."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from chassis.evictions import TABLES
from sqlalchemy.dialects import postgresql

from tests.coherence.replica import KEYS, LIST, Settings, thing
from tests.coherence.store import Store


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    directory = tmp_path_factory.mktemp("stores")
    stores = Store(directory / "first"), Store(directory / "second")
    for store in stores:
        store.start()
    yield stores
    for store in stores:
        store.client.close()
        store.stop()


@pytest.fixture(scope="module")
def settings(postgres: Any, database_environ: dict[str, str]) -> Settings:
    role = database_environ["DATABASE_USER"]
    for table in (*(model.__table__ for model in TABLES), thing):
        postgres.execute(f"SET ROLE {role}; {sa.schema.CreateTable(table).compile(dialect=postgresql.dialect())}", role)
    rows = ", ".join(f"('{key}', 1)" for key in (*KEYS, LIST))
    postgres.execute(f"SET ROLE {role}; INSERT INTO thing VALUES {rows}", role)
    return Settings.from_environ(database_environ | {"REDIS_TIMEOUT_SECONDS": "0.1", "CACHE_TYPE": "redis"})
