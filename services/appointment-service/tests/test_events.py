"""What the service tells the others about appointments."""

import asyncio
import json
import uuid
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from healthcare_contracts.schemas import closed_schema_of
from jsonschema import Draft202012Validator

TOPICS = ("appointment.booked", "appointment.updated", "appointment.cancelled")


async def told(settings: Any, appointment: str) -> list[Any]:
    """The records of one appointment, in the order of its versions, once all three kinds are there."""
    names = [settings.kafka_topic_prefix + topic for topic in TOPICS]
    reader = AIOKafkaConsumer(
        *names, bootstrap_servers=settings.kafka_bootstrap_servers, auto_offset_reset="earliest", group_id=None
    )
    await reader.start()
    found: dict[str, Any] = {}
    try:
        async with asyncio.timeout(30):
            while len(found) < len(TOPICS):
                record = await reader.getone()
                if json.loads(record.value)["data"]["appointmentId"] == appointment:
                    found[record.topic] = record
    finally:
        await reader.stop()
    return [found[name] for name in names]


@pytest.mark.contract("D16", "D17", "E02", "E03", "E06")
async def test_a_visit_is_booked_changed_and_cancelled_in_the_published_form(client, body, settings) -> None:
    patient = uuid.uuid4()
    headers = {"X-Request-ID": "from-the-client-7"}
    booked = (await client.post("/appointments", json=body(patient, notes="a canary"), headers=headers)).json()
    path = f"/appointments/{booked['id']}"
    moved = {"startTime": "2026-05-21T09:00:00", "endTime": "2026-05-21T09:30:00", "status": "CONFIRMED"}
    assert (await client.put(path, json=body(patient, notes="a canary", **moved))).status_code == 200
    assert (await client.delete(path)).status_code == 204
    records = await told(settings, booked["id"])
    assert dict(records[0].headers)["x-request-id"] == b"from-the-client-7"
    for record, kind, version in zip(records, TOPICS, (1, 2, 3), strict=True):
        event = json.loads(record.value)
        Draft202012Validator(closed_schema_of(kind)).validate(event)
        assert (event["type"], event["data"]["version"]) == (kind, version)
        assert event["data"]["patientId"] == str(patient)
        assert record.key == str(patient).encode()
        assert b"canary" not in record.value
    last = json.loads(records[1].value)["data"]
    assert {name: last[name] for name in moved} == moved
