"""The S3 sink keeps every event, over a restart of the S3 server and of the service."""

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiobotocore.session import get_session
from analytics_service.main import create_app
from analytics_service.s3 import S3Sink
from analytics_service.settings import Settings
from chassis.testing import eventually, serve


@pytest.fixture
def to_s3(settings: Settings, s3) -> Settings:
    return Settings.from_environ(
        {
            "DATABASE_URL": settings.database_url,
            "DATABASE_USER": settings.database_user,
            "DATABASE_PASSWORD": settings.database_password.get_secret_value(),
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
            "SHUTDOWN_DRAIN_SECONDS": "0",
            "ANALYTICS_SINKS": "s3",
            "ANALYTICS_FLUSH_SECONDS": "0.1",
            "S3_ENDPOINT_URL": f"http://{s3.host}:{s3.port}",
            "S3_BUCKET": "events-of-a-test",
            "S3_ACCESS_KEY_ID": "anybody",
            "S3_SECRET_ACCESS_KEY": "anything",
        }
    )


@pytest.fixture
async def stored(to_s3: Settings) -> AsyncIterator[Any]:
    creating = get_session().create_client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=to_s3.s3_endpoint_url,
        aws_access_key_id="anybody",
        aws_secret_access_key="anything",
    )
    async with creating as client:

        async def ids() -> list[str]:
            found: list[str] = []
            if "events-of-a-test" not in [each["Name"] for each in (await client.list_buckets())["Buckets"]]:
                return found
            listed = await client.list_objects_v2(Bucket="events-of-a-test")
            for each in listed.get("Contents", ()):
                body = await (await client.get_object(Bucket="events-of-a-test", Key=each["Key"]))["Body"].read()
                found += [json.loads(line)["eventId"] for line in body.splitlines()]
                assert b"anary" not in body
            return found

        yield ids


@pytest.mark.contract("N02")
async def test_events_reach_s3_exactly_once_over_restarts(to_s3, stored, events, s3) -> None:
    sent = []

    async def send(count: int) -> None:
        sent.extend([json.loads(await events.send("patient.created"))["eventId"] for _ in range(count)])

    async def all_there() -> bool:
        return set(sent) <= set(await stored())

    async with serve(create_app(to_s3)):
        await send(5)
        await eventually(all_there, within=30)
        s3.stop()
        await send(5)
    s3.start()
    async with serve(create_app(to_s3)):
        await eventually(all_there, within=30)
    kept = await stored()
    assert [kept.count(event_id) for event_id in sent] == [1] * 10


@pytest.mark.contract("N02")
async def test_a_batch_that_comes_again_and_longer_overwrites_itself(to_s3, stored, s3) -> None:
    """The process may die after the object was put and before its events were noted as delivered."""
    batch = [
        {"eventId": str(uuid.uuid4()), "type": "patient.created", "occurredAt": f"{day}T12:00:00Z", "subjectId": "1"}
        for day in ("2026-01-01", "2026-01-02", "2026-01-01", "2026-01-02", "2026-01-03")
    ]
    sink = S3Sink(to_s3)
    await sink.open()
    for known in (3, 3, 5):
        await sink.deliver(batch[:known])
    await sink.close()
    kept = await stored()
    assert [kept.count(event["eventId"]) for event in batch] == [1] * 5
