"""The doctor of a running stack names people whose email address is another's too."""

import uuid
from datetime import timedelta

import asyncpg
import pytest
from chassis.testing import eventually
from hpctl.layout import service_named

from hpctl import state

HOUR = timedelta(hours=1)
IMPORTED = """
INSERT INTO patient (id, name, name_key, email, email_key, address, date_of_birth, registered_date, billing_status,
                     version, created_at, updated_at)
VALUES ($1, 'Jane', 'jane', $2, $3, '1 Road', '1990-01-01', '2026-01-01', 'ACTIVE', 1, now() + $4, now())
"""


@pytest.mark.contract("P17", "X14")
async def test_an_address_that_two_patients_have_is_listed_by_id_alone(running):
    service = service_named("patient-service")
    database = await asyncpg.connect(
        host="127.0.0.1",
        port=running.layout.port("PATIENT_DB_PORT"),
        user=service.database,
        password=state.password(running.layout, service.database),
        database=service.database,
    )
    older, younger = uuid.uuid4(), uuid.uuid4()
    for number, (id, email) in enumerate([(older, "Twice@example.com"), (younger, "twice@example.com")]):
        await database.execute(IMPORTED, id, email, f"of an import {id}", number * HOUR)

    async def settled() -> bool:
        return not await database.fetchval("SELECT count(*) FROM patient WHERE keyed_version IS NULL")

    await eventually(settled)
    done = running.hpctl("doctor")
    assert done.returncode == 1
    assert str(younger) in done.stdout
    assert str(older) not in done.stdout
    assert "twice" not in done.stdout.lower()
    await database.execute("DELETE FROM patient WHERE id = ANY($1)", [older, younger])
    await database.close()
    assert running.hpctl("doctor").returncode == 0
