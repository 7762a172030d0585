"""The read model follows the patients' events: forward only, once, and without a trace of the deleted."""

import uuid
from typing import Any

import asyncpg
import httpx2 as httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from appointment_service.main import create_app
from chassis.testing import eventually, serve, token
from prometheus_client import REGISTRY
from structlog.testing import capture_logs


@pytest.mark.contract("Q09", "Q10", "Q12", "Q20", "D05", "E04")
async def test_a_patient_shows_beside_its_appointments_and_follows_its_updates(client, body, patients) -> None:
    patient = uuid.uuid4()
    path = (await client.post("/appointments", json=body(patient))).headers["Location"]
    await patients.tell("patient.created", patient, 1)

    async def shows(name: str) -> bool:
        one, page = (await client.get(path)).json(), (await client.get("/appointments?size=100")).json()
        listed = next(each for each in page["content"] if each["id"] == one["id"])
        return one["patientName"] == name and listed["patient"] is not None and listed["patient"]["name"] == name

    await eventually(lambda: shows("John Doe"))
    shown = (await client.get(path)).json()["patient"]
    assert shown.keys() == {"patientId", "name", "email", "phone", "address", "updatedAt"}
    await patients.tell("patient.updated", patient, 2, "Jane Doe")
    await eventually(lambda: shows("Jane Doe"))


@pytest.mark.contract("P17", "Q09", "D05")
async def test_a_patient_without_an_email_shows_none(client, body, patients, database_url) -> None:
    """The event says "" (older readers need a text), and so does a row that the release before wrote."""
    patient = uuid.uuid4()
    path = (await client.post("/appointments", json=body(patient))).headers["Location"]
    await patients.tell("patient.created", patient, 1, email="")

    async def shown() -> dict | None:
        return (await client.get(path)).json()["patient"]

    assert (await eventually(shown))["email"] is None
    assert [row["email"] for row in await _rows(database_url, patient)] == [None]
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE cached_patient SET email = '' WHERE patient_id = $1", patient)
    await connection.close()
    await patients.tell("patient.created", uuid.uuid4(), 1)  # renews the cache
    page = (await client.get("/appointments?size=100&sort=createdAt,desc")).json()
    assert [each["patient"]["email"] for each in page["content"] if each["patientId"] == str(patient)] == [None]


@pytest.mark.contract("D03", "Q14", "Q15")
async def test_late_and_repeated_events_change_nothing(client, body, patients, database_url) -> None:
    patient = uuid.uuid4()
    newest = await patients.tell("patient.updated", patient, 5, "Fifth")
    for version in (1, 3, 4):
        await patients.tell("patient.updated", patient, version, "Older")
    await patients.tell("patient.created", patient, 1, "First")
    assert newest is not None
    await patients.raw("patient.updated", patient, newest)
    await patients.raw("patient.updated", patient, newest)
    await _known(database_url, patients)
    rows = await _rows(database_url, patient)
    assert [(row["name"], row["version"]) for row in rows] == [("Fifth", 5)]


@pytest.mark.contract("Z03")
async def test_a_version_that_leaps_is_applied_and_counted(client, body, patients, database_url) -> None:
    """Compaction and a restore leap, too; the first event of a patient may be any, and an old one moves nothing."""
    patient = uuid.uuid4()

    def leaps() -> dict[str, float]:
        return {each.labels["topic"]: each.value for each in _samples("projection_version_leaps_total")}

    before = leaps()
    assert before.keys() == {"patient.created", "patient.updated", "patient.deleted"}
    for version in (4, 5, 2, 1_000_005, 1_000_006):
        await patients.tell("patient.updated", patient, version, f"Version {version}")
    await _known(database_url, patients)
    assert [row["name"] for row in await _rows(database_url, patient)] == ["Version 1000006"]
    now = leaps()
    assert now["patient.updated"] == before["patient.updated"] + 1
    await patients.delete(patient, 1_000_009)

    async def gone() -> bool:
        return (await _rows(database_url, patient))[0]["deleted_at"] is not None

    await eventually(gone)
    assert leaps() == now | {"patient.deleted": now["patient.deleted"] + 1}


def _samples(name: str) -> list[Any]:
    return [each for family in REGISTRY.collect() for each in family.samples if each.name == name]


@pytest.mark.contract("D06", "D17")
async def test_a_deleted_patient_leaves_a_tombstone_and_stays_away(client, body, patients, database_url) -> None:
    patient = uuid.uuid4()
    path = (await client.post("/appointments", json=body(patient))).headers["Location"]
    await patients.tell("patient.created", patient, 1)
    await patients.delete(patient, 2)
    await patients.tell("patient.updated", patient, 9, "Back Again")
    await patients.send("patient.created", patient, None)
    await _known(database_url, patients)
    row = (await _rows(database_url, patient))[0]
    assert row["deleted_at"] is not None
    assert [row[name] for name in ("name", "name_key", "email", "phone", "address")] == [None] * 5
    assert (await client.get(path)).json()["patient"] is None
    again = await client.post("/appointments", json=body(patient))
    assert again.status_code == 409


@pytest.mark.contract("D06", "D03", "D17")
async def test_a_deletion_that_comes_before_everything_else_wins(client, body, patients, database_url) -> None:
    patient = uuid.uuid4()
    await patients.delete(patient, 3)
    await eventually(lambda: _rows(database_url, patient), within=20)
    await patients.tell("patient.created", patient, 1, "Never Shown")
    await patients.tell("patient.updated", patient, 9, "Never Shown")
    await patients.delete(patient, 3)
    await _known(database_url, patients)
    [row] = await _rows(database_url, patient)
    assert (row["name"], row["version"]) == (None, 3)
    assert (await client.post("/appointments", json=body(patient))).status_code == 409


@pytest.mark.contract("D03", "Q14")
async def test_an_update_that_overtakes_its_creation_is_shown_and_stays(client, body, patients, database_url) -> None:
    patient = uuid.uuid4()
    path = (await client.post("/appointments", json=body(patient))).headers["Location"]
    await patients.tell("patient.updated", patient, 2, "Jane Doe")
    await eventually(lambda: _rows(database_url, patient), within=20)
    await patients.tell("patient.created", patient, 1, "John Doe")
    await _known(database_url, patients)
    assert (await client.get(path)).json()["patientName"] == "Jane Doe"


@pytest.mark.contract("E05", "D03")
async def test_events_from_before_versions_and_from_the_future_are_read(patients, database_url, client) -> None:
    old, new = uuid.uuid4(), uuid.uuid4()
    await patients.tell("patient.created", old, None, "Before Versions")
    data = {"patientId": str(new), "name": "Later", "email": "l@example.com", "version": 1, "bloodType": "AB"}
    await patients.send("patient.created", new, data, schemaVersion=9)
    await eventually(lambda: _rows(database_url, new))
    assert (await _rows(database_url, old))[0]["name"] == "Before Versions"


async def test_two_replicas_share_the_work_and_the_invalidation(client, body, patients, settings, database_url) -> None:
    headers = {"Authorization": f"Bearer {token('USER')}"}
    async with serve(create_app(settings)) as second, httpx.AsyncClient(base_url=second, headers=headers) as other:
        people = [uuid.uuid4() for _ in range(12)]
        paths = [(await client.post("/appointments", json=body(patient))).headers["Location"] for patient in people]
        for path in paths:
            assert (await other.get(path)).json()["patient"] is None
        for patient in people:
            await patients.tell("patient.created", patient, 1, f"Name {patient}")

        async def all_shown() -> bool:
            names = [(await each.get(path)).json()["patientName"] for path in paths for each in (client, other)]
            return names == [f"Name {patient}" for patient in people for _ in range(2)]

        await eventually(all_shown, within=20)
        assert len(await _rows(database_url, *people)) == 12


async def _known(database_url: str, patients) -> None:
    """Everything sent before has been handled: one witness in each partition came after it."""
    witnesses = [uuid.uuid4() for _ in range(24)]
    for topic in ("patient.created", "patient.updated", "patient.deleted"):
        for each in witnesses:
            if topic == "patient.deleted":
                await patients.delete(each, 9)
            else:
                await patients.tell(topic, each, 1 if topic == "patient.created" else 2)

    async def all_there() -> bool:
        rows = await _rows(database_url, *witnesses)
        return len(rows) == 24 and all(row["deleted_at"] for row in rows)

    await eventually(all_there, within=20)


async def _rows(database_url: str, *people: uuid.UUID) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetch("SELECT * FROM cached_patient WHERE patient_id = ANY($1)", people)
    finally:
        await connection.close()


@pytest.mark.contract("Q13")
async def test_the_group_is_appointments_cg(client, patients, settings) -> None:
    await patients.tell("patient.created", uuid.uuid4(), 1)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:

        async def committed() -> bool:
            offsets = await admin.list_consumer_group_offsets(settings.kafka_topic_prefix + "appointments-cg")
            return any(each.offset > 0 for each in offsets.values())

        await eventually(committed, within=20)
    finally:
        await admin.close()


@pytest.mark.contract("Q22", "O15")
async def test_an_update_of_the_projection_is_logged_without_names(client, body, patients) -> None:
    patient = uuid.uuid4()
    path = (await client.post("/appointments", json=body(patient))).headers["Location"]
    with capture_logs() as lines:
        await patients.tell("patient.created", patient, 1, "Canary Name")

        async def shown() -> bool:
            return (await client.get(path)).json()["patientName"] == "Canary Name"

        await eventually(shown)
    told = [line for line in lines if line["event"] == "projection updated"]
    assert [(line["patient_id"], line["version"]) for line in told] == [(str(patient), 1)]
    assert "Canary" not in str(lines)


@pytest.mark.contract("Q11", "Q10", "E13")
async def test_a_page_is_one_join_and_one_count_over_local_tables(settings, body, monkeypatch) -> None:
    """No patient service runs here at all, and the statements are counted where they leave for PostgreSQL."""
    from chassis import postgres

    sent: list[str] = []
    run = postgres.run

    async def counted(statement, method, values):
        sent.append(statement.sql)
        return await run(statement, method, values)

    monkeypatch.setattr(postgres, "run", counted)
    uncached = settings.model_copy(update={"cache_type": "none"})
    headers = {"Authorization": f"Bearer {token('USER')}"}
    async with serve(create_app(uncached)) as url, httpx.AsyncClient(base_url=url, headers=headers) as client:
        for _ in range(30):
            await client.post("/appointments", json=body())
        sent.clear()
        page = await client.get("/appointments?size=30&sort=startTime")
        assert len(page.json()["content"]) == 30
    assert len(sent) == 2
    assert sum("JOIN cached_patient" in sql for sql in sent) == 1


@pytest.mark.contract("Q23", "P13")
async def test_reads_are_cached_and_a_write_shows_at_once(client, body) -> None:
    booked = (await client.post("/appointments", json=body())).json()
    path = f"/appointments/{booked['id']}"

    async def hits() -> float:
        lines = (await client.get("/actuator/prometheus")).text.splitlines()
        start = 'cache_requests_total{cache="appointments",'
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start) and '"hit"' in line)

    before = await hits()
    for _ in range(2):
        await client.get(path)
        await client.get("/appointments?size=5")
    assert await hits() == before + 2
    await client.put(path, json=body(booked["patientId"], notes="moved"))
    assert (await client.get(path)).json()["notes"] == "moved"


@pytest.mark.contract("E11", "E13")
async def test_a_poison_message_blocks_nobody(client, body, patients) -> None:
    patient = uuid.uuid4()
    path = (await client.post("/appointments", json=body(patient))).headers["Location"]
    await patients.raw("patient.created", patient, b"{ this is not an event")
    await patients.send("patient.created", patient, {"patientId": "nobody"})
    await patients.tell("patient.created", patient, 1, "After The Poison")

    async def shown() -> bool:
        return (await client.get(path)).json()["patientName"] == "After The Poison"

    await eventually(shown, within=20)
