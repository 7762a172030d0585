"""Book, read, change, remove: status codes, shapes, states and times."""

import uuid

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
    times = {"startTime": "2026-05-20T09:00:00.000001", "endTime": "2026-05-20T09:00:00.000002"}
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
