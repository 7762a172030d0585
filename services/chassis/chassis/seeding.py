"""Demo data, written once per database."""

from collections.abc import Awaitable, Callable
from typing import Any

from chassis.db import Database
from chassis.postgres import DatabaseSettings
from chassis.transaction import Transaction

_SEEDED = "CREATE TABLE IF NOT EXISTS seeded (name text PRIMARY KEY, seeded_at timestamptz NOT NULL DEFAULT now())"

Seed = Callable[[Transaction], Awaitable[None]]


async def sow(settings: DatabaseSettings, lock: Any, name: str, seed: Seed) -> None:
    """Writes what `seed` writes, unless `name` was sown before; `lock` is the connection that keeps others out."""
    database = Database(settings)
    await database.start()
    try:
        await lock.execute(_SEEDED)
        if not await lock.fetchval("SELECT true FROM seeded WHERE name = $1", name):
            async with database.transaction() as tx:
                await seed(tx)
                await tx.execute_sql("INSERT INTO seeded (name) VALUES ($1)", name)
    finally:
        await database.stop()
