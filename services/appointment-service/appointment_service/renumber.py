"""`python -m appointment_service.renumber [--above N]`: after a restore, no entity tag of an appointment comes back.

A restored appointment has an older version than clients may have seen; its next edits would use their tags again for
another content. So every version leaps beyond the highest of the database that was replaced (`--above`) and of this.
"""

import asyncio
from uuid import UUID

import sqlalchemy as sa
from chassis import logs, versions
from chassis.db import Database
from chassis.evictions import Evictions
from chassis.migrations import Migrations
from chassis.statement import Statement

from appointment_service.models import appointment
from appointment_service.settings import Settings

_BATCH = 5_000
_NEXT = sa.select(appointment.c.id).where(appointment.c.id > sa.bindparam("after")).order_by(appointment.c.id)
_RAISE = Statement(
    sa.update(appointment)
    .where(appointment.c.id.in_(_NEXT.limit(sa.bindparam("limit"))))
    .values(version=sa.bindparam("floor", type_=sa.Integer) + appointment.c.version % versions.LEAP)
    .returning(appointment.c.id)
)
_HIGHEST = Statement(sa.select(sa.func.coalesce(sa.func.max(appointment.c.version), 0)))


async def renumber(database: Database, floor: int) -> int:
    """Raises the version of every appointment above `floor`, batch by batch; how many there are."""
    count, after = 0, UUID(int=0)
    while True:
        async with database.transaction() as tx:
            await Evictions(tx).forget_epoch()
            rows = await tx.fetch_all(_RAISE, after=after, limit=_BATCH, floor=floor)
        if not rows:
            return count
        count, after = count + len(rows), max(row["id"] for row in rows)


async def _main(settings: Settings, above: int) -> None:
    await Migrations(settings, "appointment_service").migrate()  # a backup may be older than this image
    database = Database(settings)
    await database.start()
    try:
        floor = versions.beyond((above, await database.fetch_value(_HIGHEST)))
        print(f"{await renumber(database, floor)} appointments have a version above {floor}")  # noqa: T201
    finally:
        await database.stop()


if __name__ == "__main__":
    found = Settings.from_environ()
    logs.configure(found.service_name, "warning")
    asyncio.run(_main(found, versions.above()))
