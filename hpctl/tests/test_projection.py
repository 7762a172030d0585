"""Rebuilding the read model of patients on a running stack."""

import asyncio
import json
import re
import uuid

import asyncpg
import httpx2
import pytest
from aiokafka import AIOKafkaProducer
from chassis.testing import eventually, token
from chassis.testing.batches import Batch, place
from hpctl.layout import service_named

from hpctl import state


@pytest.fixture
async def services(running):
    """Clients of patient-service and appointment-service, and a connection to the projection."""
    layout, service = running.layout, service_named("appointment-service")
    headers = {"Authorization": f"Bearer {token('ADMIN', secret='replace-me-secret')}"}
    database = await asyncpg.connect(
        host="127.0.0.1",
        port=layout.port("APPOINTMENT_DB_PORT"),
        user=service.database,
        password=state.password(layout, service.database),
        database=service.database,
    )
    at = "http://127.0.0.1:{}"
    async with (
        httpx2.AsyncClient(base_url=at.format(layout.port("PATIENT_SERVICE_PORT")), headers=headers) as patients,
        httpx2.AsyncClient(base_url=at.format(layout.port("APPOINTMENT_SERVICE_PORT")), headers=headers) as visits,
    ):
        yield patients, visits, database
    await database.close()


async def projected(database, patient: str):
    return await database.fetchrow("SELECT * FROM cached_patient WHERE patient_id = $1", uuid.UUID(patient))


@pytest.mark.contract("D03", "D06", "D16")
async def test_a_rebuild_repairs_the_projection_while_reads_answer(running, services):
    patients, visits, database = services

    async def admitted(name: str) -> str:
        body = {
            "name": name,
            "email": f"{uuid.uuid4().hex}@example.com",
            "address": "1 Road",
            "dateOfBirth": "1990-01-01",
        }
        made = await patients.post("/patients", json=body)
        assert made.status_code == 201, made.text
        renamed = await patients.put(f"/patients/{made.json()['id']}", json=body | {"name": f"{name} Renamed"})
        assert renamed.status_code == 200, renamed.text
        return made.json()["id"]

    lost, damaged, deleted, forgotten = [await admitted(name) for name in ("Lost", "Damaged", "Deleted", "Forgotten")]
    for each in (deleted, forgotten):
        assert (await patients.delete(f"/patients/{each}")).status_code == 204
    for each in (lost, damaged):
        await eventually(lambda each=each: _has(database, each, "version", 2))
    for each in (deleted, forgotten):
        await eventually(lambda each=each: _has(database, each, "name", None))
    visit = {"patientId": damaged, "startTime": "2026-05-20T09:00:00", "endTime": "2026-05-20T09:30:00"}
    booked = (await visits.post("/appointments", json=visit)).json()["id"]
    await database.execute("DELETE FROM cached_patient WHERE patient_id = ANY($1::uuid[])", [lost, forgotten])
    await database.execute("UPDATE cached_patient SET name = 'Wrong' WHERE patient_id = $1", uuid.UUID(damaged))

    rebuilding = asyncio.create_task(asyncio.to_thread(running.hpctl, "projection", "rebuild"))
    statuses, names = set(), set()
    while not rebuilding.done():
        answer = await visits.get(f"/appointments/{booked}")
        statuses.add(answer.status_code)
        names.add(answer.json()["patientName"])
        assert (await projected(database, forgotten) or {"name": None})["name"] is None
    done = await rebuilding
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses == {200}
    assert names <= {"Wrong", "Damaged Renamed"}
    assert (await projected(database, lost))["name"] == "Lost Renamed"
    assert (await projected(database, damaged))["name"] == "Damaged Renamed"
    assert (await visits.get(f"/appointments/{booked}")).json()["patientName"] == "Damaged Renamed"
    for each in (deleted, forgotten):
        row = await projected(database, each)
        assert row["name"] is None
        assert row["deleted_at"] is not None


@pytest.mark.contract("E11")
async def test_a_replayed_dead_letter_reaches_the_projection_and_is_gone_from_its_topic(running, services):
    _, _, database = services
    patient, dead = str(uuid.uuid4()), "patient.updated.appointments-cg.dlq"
    data = {"patientId": patient, "name": "Back Again", "email": "back@example.com", "version": 3}
    event = {
        "eventId": str(uuid.uuid4()),
        "type": "patient.updated",
        "occurredAt": "2026-05-20T09:00:00Z",
        "data": data,
    }
    facts = {
        "topic": "patient.updated",
        "partition": "0",
        "offset": "0",
        "group": "appointments-cg",
        "reason": "outage",
    }
    headers = [(f"dead-letter-{name}", text.encode()) for name, text in facts.items()]
    async with AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{running.layout.port('KAFKA_PORT')}") as producer:
        await producer.send_and_wait(dead, json.dumps(event).encode(), key=patient.encode(), headers=headers)
    assert running.hpctl("dlq", "replay", dead).stdout == f"replayed 1 of {dead}\n"
    await eventually(lambda: _has(database, patient, "name", "Back Again"))
    assert running.hpctl("dlq", "replay", dead).stdout == f"replayed 0 of {dead}\n"


@pytest.mark.contract("E11")
async def test_a_rebuild_steps_over_what_can_never_be_stored(running, services):
    """One bad message, however far into it the trouble lies, neither ends a rebuild nor hides the good one before."""
    _, _, database = services
    patient = str(uuid.uuid4())
    good = {
        "eventId": str(uuid.uuid4()),
        "type": "patient.updated",
        "occurredAt": "2026-05-20T09:00:00Z",
        "data": {"patientId": patient, "name": "Newest Good", "email": "good@example.com", "version": 3},
    }
    bad = [
        good | {"type": "patient.deleted", "data": {"patientId": "MARK-no-uuid", "version": 4}},
        good | {"data": good["data"] | {"name": "nul \0", "version": 4}},
        good | {"data": good["data"] | {"version": 2**31}},
        good | {"occurredAt": "9999-12-31T23:59:59-23:00", "data": good["data"] | {"version": 4}},
    ]
    async with AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{running.layout.port('KAFKA_PORT')}") as producer:
        record, name = (patient.encode(), json.dumps(good).encode()), b"\xff" * 13
        strange = Batch([(*record, [(place(name), b"")])], name=name)
        for batch in (strange, Batch([(*record, [])], packed="trailed gzip")):
            await (await producer.send_batch(batch, "patient.updated", partition=0))
        for event in bad:
            await producer.send_and_wait(event["type"], json.dumps(event).encode(), key=patient.encode())
    await eventually(lambda: _has(database, patient, "name", "Newest Good"))
    await database.execute("DELETE FROM cached_patient WHERE patient_id = $1", uuid.UUID(patient))
    done = await asyncio.to_thread(running.hpctl, "projection", "rebuild")
    assert done.returncode == 0, done.stdout + done.stderr
    unreadable = re.search(r"(\d+) messages are not readable", done.stdout)
    assert unreadable is not None
    assert int(unreadable[1]) >= len(bad) + 1
    assert "MARK" not in done.stdout + done.stderr
    assert (await projected(database, patient))["name"] == "Newest Good"


async def _has(database, patient: str, column: str, value) -> bool:
    row = await projected(database, patient)
    return row is not None and row[column] == value
