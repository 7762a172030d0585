"""A consumer believes a record only where its key and its topic fit what it says."""

import uuid
from collections import Counter

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from chassis.deadletterlog import DeadLetterLog
from chassis.errors import Poison
from chassis.received import read
from chassis.testing import eventually
from chassis.testing.batches import Batch, place
from healthcare_contracts.topics import TOPICS, Topic
from hpctl.layout import Layout

from tests.conftest import Stack
from tests.e2e.forgeries import CANARY, Record, forged, good

pytestmark = pytest.mark.contract("Z03")

TOPIC = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def _refusal(topic: Topic, record: Record) -> str | None:
    """Why a consumer does not believe it; None when it does."""
    try:
        read(ConsumerRecord(topic.name, 0, 0, 0, 0, record.key, record.value, None, 0, 0, ()), topic)
    except Poison as poison:
        return str(poison)
    return None


@TOPIC
def test_what_its_producer_writes_is_believed(topic: Topic) -> None:
    assert {record.fault: _refusal(topic, record) for record in good(topic)} == {
        record.fault: None for record in good(topic)
    }


@TOPIC
def test_no_forgery_is_believed_and_no_reason_quotes_it(topic: Topic) -> None:
    refusals = {record.fault: _refusal(topic, record) for record in forged(topic)}
    assert [fault for fault, reason in refusals.items() if reason is None] == []
    assert CANARY not in str(list(refusals.values()))


@pytest.mark.timeout(180)
async def test_forgeries_change_nothing_in_any_service_and_lie_with_the_dead_letters(stack: Stack) -> None:
    client = {"bootstrap_servers": f"127.0.0.1:{Layout(stack.offset).port('KAFKA_PORT')}"}
    letters = DeadLetterLog(client)
    body = {"name": "True Name", "email": f"{uuid.uuid4().hex}@example.com", "dateOfBirth": "1990-12-10"}
    with stack.client() as api:
        looks = [api.get("/api/analytics/summary").json()]
        patient = api.post("/api/patients", json=body | {"address": "1 Road"}).json()["id"]
        unbilled = str(uuid.uuid4())  # asks for an account that nobody has
        visit = {"patientId": patient, "startTime": "2026-05-20T09:00:00", "endTime": "2026-05-20T09:30:00"}
        booked = api.post("/api/appointments", json=visit).json()["id"]

        def shown() -> tuple[str, str, int]:
            name = api.get(f"/api/appointments/{booked}").json()["patientName"]
            status = api.get(f"/api/patients/{patient}").json()["billingStatus"]
            return name, status, api.get(f"/api/billing/accounts/{unbilled}").status_code

        await eventually(lambda: shown() == ("True Name", "ACTIVE", 404))
        counted = await eventually(lambda: _settled(api, looks), every=1.0)
        before = Counter({each["topic"]: each["count"] for each in await letters.counts()})
        expected = await _forge(client, (patient, unbilled))

        async def put_aside() -> bool:
            now = Counter({each["topic"]: each["count"] for each in await letters.counts()})
            assert {topic: count for topic, count in (now - before).items() if count} == expected
            return True

        await eventually(put_aside, within=60, every=0.5)
        assert shown() == ("True Name", "ACTIVE", 404)
        assert api.get(f"/api/billing/accounts/{patient}").json()["status"] == "ACTIVE"
        assert api.get("/api/analytics/summary").json() == counted
        rebuilt = stack.hpctl("projection", "rebuild")
        assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
        assert shown() == ("True Name", "ACTIVE", 404)
    for topic in expected:
        await letters.discard(topic)


def _settled(api, looks):
    """The counts of analytics, once they have the patient and the visit, and are as they were a second ago."""
    looks.append(api.get("/api/analytics/summary").json())
    return looks[-1] if looks[-1] == looks[-2] and looks[-1]["total"] >= looks[0]["total"] + 2 else None


async def _forge(client: dict[str, str], subjects: tuple[str, ...]) -> dict[str, int]:
    """Write every forgery to every topic, and null values, which are nothing; dead-letter topic → letters to come."""
    expected = Counter[str]()
    async with AIOKafkaProducer(**client) as producer:
        for topic in TOPICS:
            records = [record for subject in subjects for record in forged(topic, subject)]
            if topic.compacted:  # the broker itself refuses a record without a key there
                records = [record for record in records if record.key is not None]
            for record in records:
                await producer.send(topic.name, record.value, key=record.key)
            await producer.send(topic.name, None, key=subjects[0].upper().encode())
            for batch in _unreadable(subjects[0].encode()):
                await (await producer.send_batch(batch, topic.name, partition=0))
            expected.update({f"{topic.name}.{group}.dlq": len(records) + 2 for group in topic.groups})
        await producer.flush()
    return dict(expected)


def _unreadable(key: bytes) -> list[Batch]:
    """What the client library does not read: a header's name that is no UTF-8, and a batch that it does not unpack."""
    name, forgery = b"\xff" * 13, b"{}"
    return [
        Batch([(key, forgery, [(place(name), b"")])], name=name),
        Batch([(key, forgery, [])], packed="trailed gzip"),
    ]
