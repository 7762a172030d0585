"""Every event is counted once, whatever Kafka repeats, and nobody's name is kept."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from analytics_service.main import create_app
from chassis.testing import eventually, serve, token
from structlog.testing import capture_logs


@pytest.mark.contract("N01", "N03", "N04")
async def test_events_of_every_topic_move_their_counts(client, events, by_type) -> None:
    before = await by_type()
    await events.send("patient.created")
    await events.send("billing-account", "billing.account.created")
    await events.send("appointment.booked")
    await events.send("auth.audit", "auth.login.succeeded")

    async def moved() -> bool:
        now = await by_type()
        kinds = ("patient.created", "billing.account.created", "appointment.booked", "auth.login.succeeded")
        return all(now.get(kind, 0) == before.get(kind, 0) + 1 for kind in kinds)

    await eventually(moved, within=20)
    summary = (await client.get("/analytics/summary")).json()
    assert summary.keys() == {"total", "byType", "byDay"}
    assert summary["total"] == sum(summary["byType"].values())
    assert sum(sum(day["counts"].values()) for day in summary["byDay"]) == summary["total"]


@pytest.mark.contract("N01")
async def test_an_event_counts_on_the_day_in_utc_on_which_it_happened(client, events) -> None:
    day = datetime.now(UTC).date() - timedelta(days=5)
    for moment in ("23:30:00-05:00", "00:30:00+05:00", "12:00:00Z"):
        data = {"patientId": str(uuid.uuid4())}
        envelope = {"eventId": str(uuid.uuid4()), "type": "appointment.cancelled", "occurredAt": f"{day}T{moment}"}
        await events.send("appointment.cancelled", value=json.dumps(envelope | {"data": data}).encode())

    async def counted() -> bool:
        days = (await client.get("/analytics/summary")).json()["byDay"]
        assert [each["day"] for each in days] == sorted(each["day"] for each in days)
        counts = {each["day"]: each["counts"].get("appointment.cancelled") for each in days}
        return [counts.get(str(day + timedelta(days=number))) for number in (-1, 0, 1)] == [1, 1, 1]

    await eventually(counted, within=20)


@pytest.mark.contract("Q15", "E11")
async def test_a_repeated_event_counts_once_and_an_unknown_type_blocks_nobody(events, by_type) -> None:
    before = (await by_type()).get("patient.deleted", 0)
    value = await events.send("patient.deleted")
    for _ in range(5):
        await events.send("patient.deleted", value=value)
    await events.send("patient.deleted", "patient.abducted")
    for _ in range(6):
        await events.send("patient.deleted")

    async def counted() -> bool:
        return (await by_type()).get("patient.deleted", 0) >= before + 7

    await eventually(counted, within=20)
    assert (await by_type())["patient.deleted"] == before + 7
    assert "patient.abducted" not in await by_type()


@pytest.mark.contract("N02", "S09", "D18")
async def test_recent_events_name_ids_and_nobody(client, events, database_url) -> None:
    await events.send("patient.updated")

    async def seen() -> bool:
        content = (await client.get("/analytics/events")).json()["content"]
        return any(event["type"] == "patient.updated" for event in content)

    await eventually(seen, within=20)
    connection = await asyncpg.connect(database_url)
    try:
        for table in ("recent_event", "sink_message", "event_count", "inbox"):
            rows = await connection.fetch(f"SELECT t::text AS line FROM {table} t")
            assert not [row for row in rows if "anary" in row["line"]]
    finally:
        await connection.close()
    user = {"Authorization": f"Bearer {token('USER')}"}
    assert (await client.get("/analytics/summary", headers=user)).status_code == 403
    assert (await client.get("/analytics/summary", headers={"Authorization": ""})).status_code == 401


@pytest.mark.contract("N02")
async def test_the_log_sink_tells_each_event_by_id_and_type(settings, events) -> None:
    only_log = settings.model_copy(update={"analytics_sinks": frozenset({"log"})})
    with capture_logs() as lines:
        async with serve(create_app(only_log)):
            sent = [json.loads(await events.send("patient.updated"))["eventId"] for _ in range(3)]

            def told() -> bool:
                return {line["event_id"] for line in lines if line["event"] == "event"} >= set(sent)

            await eventually(told, within=20)
    assert {line["type"] for line in lines if line.get("event_id") in sent} == {"patient.updated"}
    assert "anary" not in str(lines)


@pytest.mark.contract("N05")
async def test_the_group_is_analytics_service(client, settings, events, by_type) -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    await events.send("patient.created")
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:

        async def committed() -> bool:
            offsets = await admin.list_consumer_group_offsets(f"{settings.kafka_topic_prefix}analytics-service")
            return any(each.offset > 0 for each in offsets.values())

        await eventually(committed, within=20)
    finally:
        await admin.close()
