"""/ops: what an operator sees of a service, and does with its dead letters."""

import uuid
from collections.abc import AsyncIterator

import httpx2 as httpx
import pytest
from chassis.testing import eventually, token

CANARY = b'{"name": "Canary Person", not json'


@pytest.fixture
def dead(environ) -> str:
    return f"{environ['KAFKA_TOPIC_PREFIX']}patient.updated.appointments-cg.dlq"


@pytest.fixture
async def admin(url) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {token('ADMIN')}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as client:
        yield client


async def _waiting(client: httpx.AsyncClient, topic: str) -> int:
    answer = await client.get("/ops/dead-letters")
    assert answer.status_code == 200, answer.text
    return {each["topic"]: each["count"] for each in answer.json()["content"]}.get(topic, 0)


async def test_it_is_for_admins_only(url: str):
    paths = ["/ops/summary", "/ops/dead-letters", "/ops/dead-letters/x", "/ops/dead-letters/x/0/0"]
    for role, expected in ((None, 401), ("USER", 403)):
        headers = {"Authorization": f"Bearer {token(role)}"} if role else {}
        async with httpx.AsyncClient(base_url=url, headers=headers) as client:
            for path in paths:
                assert (await client.get(path)).status_code == expected
            for path in ("/ops/replay", "/ops/discard"):
                assert (await client.post(path, json={"topic": "x"})).status_code == expected


async def test_the_summary_has_traffic_events_and_health(admin, patients):
    patient = uuid.uuid4()
    assert (await admin.get(f"/appointments/{uuid.uuid4()}")).status_code == 404
    await patients.tell("patient.created", patient, 1)

    async def consumed() -> dict:
        summary = (await admin.get("/ops/summary")).json()
        topics = {each["topic"]: each for each in summary["events"]["topics"]}
        assert topics.get("patient.created", {}).get("consumed", 0) >= 1
        return summary

    summary = await eventually(consumed)
    assert summary["service"] == "appointment-service"
    assert summary["up"] is True
    assert summary["components"]["db"]["status"] == "UP"
    route = next(each for each in summary["requests"]["routes"] if each["route"] == "GET /appointments/{id}")
    assert route["count"] >= 1
    assert route["refused"] >= 1
    assert 0 < route["p50"] <= route["p99"]
    assert not [each for each in summary["requests"]["routes"] if "/ops" in each["route"]]
    assert summary["events"]["age"]["p50"] > 0
    assert summary["outbox"] == {"waiting": 0, "oldestSeconds": 0}


@pytest.mark.contract("E11")
async def test_a_dead_letter_is_listed_without_its_data_opened_replayed_and_discarded(admin, patients, dead):
    await patients.raw("patient.updated", uuid.uuid4(), CANARY)
    assert await eventually(lambda: _waiting(admin, dead)) == 1
    listed = await admin.get(f"/ops/dead-letters/{dead}")
    assert "Canary" not in listed.text
    letter = listed.json()["content"][0]
    assert letter["facts"]["reason"] == "the value is not JSON"
    opened = (await admin.get(f"/ops/dead-letters/{dead}/{letter['partition']}/{letter['offset']}")).json()
    assert opened["value"] == CANARY.decode()

    replayed = await admin.post("/ops/replay", json={"topic": dead, "through": letter["offset"]})
    assert replayed.json() == {"replayed": 1}

    async def again() -> bool:  # it is as bad as before, and comes back as a new one
        found = (await admin.get(f"/ops/dead-letters/{dead}")).json()["content"]
        return [each["offset"] > letter["offset"] for each in found] == [True]

    await eventually(again)
    assert (await admin.get(f"/ops/dead-letters/{dead}/0/{letter['offset']}")).status_code == 404
    assert (await admin.post("/ops/discard", json={"topic": dead})).json() == {"discarded": 1}
    assert await _waiting(admin, dead) == 0


FACTS = ("topic", "partition", "offset", "group", "time", "reason", "exception", "another")
ODD = (
    b"",
    b"-1",
    b"1e3",
    b"9" * 5000,
    b"\xff\xfe",
    b"many",
    "\u0663".encode(),
    b"\x1b[2J",
    b"auth.audit",
    b"2026-13-45",
)


@pytest.mark.contract("Z03")
async def test_no_header_of_a_letter_decides_where_it_goes_or_holds_up_the_ones_behind(admin, patients, dead, environ):
    """Every fact with every odd value, and a good letter at the end: listed, opened, replayed."""
    patient, prefix = uuid.uuid4(), environ["KAFKA_TOPIC_PREFIX"]
    for value in ODD:
        headers = [(f"dead-letter-{fact}", value) for fact in FACTS] + [("replay-source", value), ("type", value)]
        await patients.raw(dead.removeprefix(prefix), patient, CANARY, headers)
    good = await patients.tell("patient.updated.appointments-cg.dlq", patient, 7, "Right", type="patient.updated")
    listed = (await admin.get(f"/ops/dead-letters/{dead}")).json()["content"]
    assert len(listed) == len(ODD) + 1
    for letter in listed[:-1]:
        assert {name: letter["facts"][name] for name in ("partition", "offset", "time")} == dict.fromkeys(
            ("partition", "offset", "time"), "not readable"
        )
        assert max(map(len, letter["facts"].values())) <= 1000
        assert (
            await admin.get(f"/ops/dead-letters/{dead}/{letter['partition']}/{letter['offset']}")
        ).status_code == 200
    replayed = await admin.post("/ops/replay", json={"topic": dead})
    assert (replayed.status_code, replayed.json()) == (200, {"replayed": len(ODD) + 1})

    async def settled() -> bool:  # the odd ones come back, for they are no events; the good one was applied
        waiting = (await admin.get(f"/ops/dead-letters/{dead}")).json()["content"]
        assert [each["facts"]["topic"] for each in waiting] == [f"{prefix}appointments-cg.replay"] * len(ODD)
        visit = {"patientId": str(patient), "startTime": "2026-05-20T09:00:00", "endTime": "2026-05-20T09:30:00"}
        return (await admin.post("/appointments", json=visit)).json()["patientName"] == "Right"

    await eventually(settled, every=0.3)
    assert good is not None
    assert (await admin.post("/ops/discard", json={"topic": dead})).json() == {"discarded": len(ODD)}


async def test_only_the_services_own_dead_letters(admin, environ):
    for topic in ("patient.updated", f"{environ['KAFKA_TOPIC_PREFIX']}patient.updated.billing-service.dlq"):
        assert (await admin.get(f"/ops/dead-letters/{topic}")).status_code == 404
        assert (await admin.post("/ops/discard", json={"topic": topic})).status_code == 404
    wrong = await admin.post("/ops/replay", json={"topic": "x", "count": 0})
    assert wrong.status_code == 400
