"""Book, read, change, remove: status codes, shapes, states and times."""

import uuid
from datetime import datetime

import asyncpg
import pytest

KEYS = {
    "id",
    "patientId",
    "startTime",
    "endTime",
    "notes",
    "status",
    "version",
    "createdAt",
    "updatedAt",
    "patient",
    "patientName",
}


@pytest.mark.contract("Q03", "Q07", "Q08", "Q21", "D05", "D08", "D23")
async def test_booking_answers_201_also_for_a_patient_nobody_knows_yet(client, body) -> None:
    answer = await client.post("/appointments", json=body(notes="line one\nline two"))
    assert answer.status_code == 201
    read = answer.json()
    assert read.keys() == KEYS
    assert answer.headers["Location"] == f"/appointments/{read['id']}"
    assert answer.headers["ETag"] == '"1"'
    assert read["status"] == "SCHEDULED"
    assert read["startTime"] == "2026-05-20T09:00:00"
    assert read["createdAt"].endswith("Z")
    assert read["patient"] is None
    assert read["patientName"] is None


@pytest.mark.contract("Q02", "Q05", "D24")
async def test_read_and_remove(client, body) -> None:
    path = (await client.post("/appointments", json=body())).headers["Location"]
    answer = await client.get(path)
    assert answer.status_code == 200
    assert (await client.get(path, headers={"If-None-Match": answer.headers["ETag"]})).status_code == 304
    assert (await client.delete(path, headers={"If-Match": '"7"'})).status_code == 412
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404


@pytest.mark.contract("Q04", "Q24", "D17", "D24")
async def test_put_replaces_keeps_the_status_and_guards_the_version(client, body) -> None:
    booked = (await client.post("/appointments", json=body())).json()
    path, patient = f"/appointments/{booked['id']}", booked["patientId"]
    moved = await client.put(path, json=body(patient, endTime="2026-05-20T10:00:00", version=1))
    assert moved.status_code == 200
    assert moved.json()["endTime"] == "2026-05-20T10:00:00"
    assert moved.json()["status"] == "SCHEDULED"
    assert moved.json()["version"] == 2
    assert (await client.get(path)).json()["version"] == 2
    assert (await client.put(path, json=body(patient, version=1))).status_code == 409
    assert (await client.put(path, json=body(patient), headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.put(path, json=body(uuid.uuid4()))).status_code == 400
    assert (await client.put(f"/appointments/{uuid.uuid4()}", json=body())).status_code == 404


TO = {
    "SCHEDULED": [],
    "CONFIRMED": ["CONFIRMED"],
    "COMPLETED": ["CONFIRMED", "COMPLETED"],
    "CANCELLED": ["CANCELLED"],
    "NO_SHOW": ["NO_SHOW"],
}
NEXT = {"SCHEDULED": {"CONFIRMED", "CANCELLED", "NO_SHOW"}, "CONFIRMED": {"COMPLETED", "CANCELLED", "NO_SHOW"}}


@pytest.mark.contract("D17")
async def test_states_follow_one_another_as_drawn_and_in_no_other_way(client, body) -> None:
    for now, way in TO.items():
        for wanted in (*TO, None):
            booked = (await client.post("/appointments", json=body())).json()
            path, patient = f"/appointments/{booked['id']}", booked["patientId"]
            for state in way:
                assert (await client.put(path, json=body(patient, status=state))).status_code == 200
            answer = await client.put(path, json=body(patient, status=wanted))
            allowed = wanted in {None, now, *NEXT.get(now, ())}
            assert answer.status_code == (200 if allowed else 409), (now, wanted)
            kept = (await client.get(path)).json()
            assert kept["status"] == ((wanted or now) if allowed else now)
            assert kept["version"] == 1 + len(way) + allowed
            if not allowed:
                assert answer.json()["field"] == "status"
    assert (await client.put(path, json=body(patient, status="MAYBE"))).status_code == 400


@pytest.mark.contract("D20", "D23")
async def test_the_longest_notes_and_the_finest_times_come_back_whole(client, body) -> None:
    notes = "line\n\ttabbed " + "ß" * 9_987
    times = {"startTime": "2026-05-20T09:00:00.000001", "endTime": "2026-05-20T09:01:00.000002"}
    assert len(notes) == 10_000
    read = (await client.post("/appointments", json=body(notes=notes, **times))).json()
    assert (read | {"notes": notes} | times) == read


@pytest.mark.contract("Q19", "D09", "D20", "D23")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("patientId", None),
        ("patientId", "somebody"),
        ("startTime", "2026-05-20"),
        ("startTime", "2026-05-20T09:00:00Z"),
        ("startTime", "2026-05-20T09:00:00+02:00"),
        ("endTime", "2026-05-20T09:00:00"),
        ("endTime", "2026-05-20T08:00:00"),
        ("notes", "x" * 10_001),
        ("notes", "bell\u0007"),
        ("status", "CONFIRMED"),
    ],
)
async def test_bad_input_is_400_and_names_the_field(client, body, field, value) -> None:
    answer = await client.post("/appointments", json=body() | {field: value})
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]


TIMES = {
    ("2026-05-20T09:00:00", "2026-05-20T09:01:00"): None,
    ("2026-05-20T09:00:00", "2026-05-21T09:00:00"): None,
    ("1900-01-01T00:00:00", "1900-01-01T00:01:00"): None,
    ("2200-12-31T00:00:00", "2200-12-31T23:59:59"): None,
    ("2026-05-20T09:00:00", "2026-05-20T09:00:59.999999"): ["endTime"],
    ("2026-05-20T09:00:00", "2026-05-21T09:00:00.000001"): ["endTime"],
    ("2026-05-20T09:00:00", "2027-05-20T09:00:00"): ["endTime"],
    ("1899-12-31T23:30:00", "1900-01-01T00:00:00"): ["startTime"],
    ("2200-12-31T23:30:00", "2201-01-01T00:00:00"): ["endTime"],
    ("0001-01-01T00:00:00", "0001-01-01T01:00:00"): ["startTime", "endTime"],
    ("9999-12-31T23:00:00", "9999-12-31T23:30:00"): ["startTime", "endTime"],
    ("1800-01-01T00:00:00", "2300-01-01T00:00:00"): ["startTime", "endTime", "endTime"],
}


@pytest.mark.contract("D23", "Q19")
async def test_an_appointment_lasts_a_minute_to_a_day_between_1900_and_2200(client, body) -> None:
    kept = (await client.post("/appointments", json=body())).json()
    for (start, end), wrong in TIMES.items():
        times = {"startTime": start, "endTime": end}
        booked = await client.post("/appointments", json=body(**times))
        moved = await client.put(f"/appointments/{kept['id']}", json=body(kept["patientId"], **times))
        if wrong is None:
            assert (booked.status_code, moved.status_code) == (201, 200), times
            continue
        for answer in (booked, moved):
            assert answer.status_code == 400, times
            assert [error["field"] for error in answer.json()["errors"]] == wrong


@pytest.mark.contract("D23", "D17", "Q04", "Q05")
@pytest.mark.parametrize("end", ["2026-05-20T09:00:00.000001", "2027-01-01T00:00:00", "9999-12-31T23:59:59"])
async def test_times_from_before_the_rules_are_judged_when_they_change(client, body, database_url, end) -> None:
    made = (await client.post("/appointments", json=body())).json()
    path, patient = f"/appointments/{made['id']}", made["patientId"]
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "UPDATE appointment SET end_time = $2 WHERE id = $1", uuid.UUID(made["id"]), datetime.fromisoformat(end)
    )
    await connection.close()
    kept = {"startTime": made["startTime"], "endTime": end}
    assert (await client.put(path, json=body(patient, notes="as it was", **kept))).status_code == 200
    assert (await client.put(path, json=body(patient, startTime="2026-05-19T08:00:00", endTime=end))).status_code == 400
    cancelled = await client.put(path, json=body(patient, status="CANCELLED", **kept))
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert (await client.put(path, json=body(patient))).status_code == 200
    assert (await client.delete(path)).status_code == 204
