"""Every event is counted once, whatever Kafka repeats, and nobody's name is kept."""

import asyncpg
import pytest
from chassis.testing import eventually, token


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
