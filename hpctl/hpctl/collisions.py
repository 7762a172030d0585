"""People whose email address is another's too: rows of an import, or of a release with other rules (ADR 17)."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
from chassis.postgres import DatabaseSettings, address
from chassis.settings import ServiceSettings

from hpctl.environment import environment
from hpctl.layout import Layout, service_named

MOST_SHOWN = 20
_TABLES = (("patient-service", "patient", "patients"), ("auth-service", "users", "users"))


class _Settings(ServiceSettings, DatabaseSettings):
    """Where a service's database is."""


def collisions(layout: Layout) -> Iterator[str]:
    """Return a sentence for each table of the running stack that has such rows; it names ids and nothing else."""
    for service, table, people in _TABLES:
        ids = asyncio.run(_second(layout, service, table))
        if ids:
            more = f" and {len(ids) - MOST_SHOWN} more" if len(ids) > MOST_SHOWN else ""
            yield (
                f"{len(ids)} {people} have an email address that belongs to an older one; give them another: "
                f"{', '.join(ids[:MOST_SHOWN])}{more}"
            )


async def _second(layout: Layout, service: str, table: str) -> list[str]:
    settings = _Settings.from_environ(environment(layout, service_named(service)))
    try:
        connection: Any = await asyncpg.connect(**address(settings), timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError):  # `status` says that
        return []
    try:
        rows = await connection.fetch(f"SELECT id FROM {table} WHERE email_key LIKE '%' || chr(1) || '%' ORDER BY id")  # noqa: S608 - one of ours
    finally:
        await connection.close()
    return [str(row["id"]) for row in rows]
