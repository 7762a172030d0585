"""Where events flow to. A sink is an interface of one verb; what it has not taken waits in the database."""

import hashlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import orjson
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from chassis import telemetry
from chassis.db import Database, Statement
from chassis.errors import Unavailable
from sqlalchemy.dialects.postgresql import insert

from analytics_service.models import recent_event
from analytics_service.settings import Settings

log = telemetry.logger(__name__)

Event = dict[str, Any]


class Sink(Protocol):
    """Takes batches of `{eventId,type,occurredAt,subjectId}`; a batch may come twice and must then change nothing."""

    name: str

    async def open(self) -> None:
        """Before the first batch, and again after a failure."""

    async def close(self) -> None:
        """After the last."""

    async def deliver(self, batch: Sequence[Event]) -> None:
        """Takes the whole batch, or raises Unavailable: then it comes again."""


class LogSink:
    """One log line for each event."""

    name = "log"

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing is open."""

    async def deliver(self, batch: Sequence[Event]) -> None:
        """Logs ids and types."""
        for event in batch:
            log.info("event", type=event["type"], event_id=event["eventId"], occurred_at=event["occurredAt"])


class PostgresSink:
    """Rows of `recent_event`, by their event id."""

    name = "postgresql"
    _insert = Statement(insert(recent_event).on_conflict_do_nothing(index_elements=["event_id"]))

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self) -> None:
        """The pool is open."""

    async def close(self) -> None:
        """The pool closes itself."""

    async def deliver(self, batch: Sequence[Event]) -> None:
        """Writes the batch in one round trip."""
        rows = [
            {
                "event_id": UUID(event["eventId"]),
                "type": event["type"],
                "subject_id": event["subjectId"],
                "occurred_at": datetime.fromisoformat(event["occurredAt"]),
            }
            for event in batch
        ]
        async with self._database.transaction() as tx:
            await tx.execute_many(self._insert, rows)


class S3Sink:
    """Objects of JSON lines under `events/<day>/`.

    The name comes from the content, so a repeated batch overwrites itself.
    """

    name = "s3"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._client: Any = None

    async def open(self) -> None:
        """Connects, and makes the bucket where it is missing.

        Raises:
            Unavailable: the server does not answer.
        """
        secret = self._settings.s3_secret_access_key
        creating = get_session().create_client(
            "s3",
            region_name=self._settings.s3_region,
            endpoint_url=self._settings.s3_endpoint_url,
            aws_access_key_id=self._settings.s3_access_key_id,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            config=AioConfig(
                connect_timeout=3,
                read_timeout=10,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"} if self._settings.s3_endpoint_url else {},
            ),
        )
        self._client = await self._stack.enter_async_context(creating)
        await self._ensure_bucket()

    async def close(self) -> None:
        """Disconnects."""
        await self._stack.aclose()

    async def deliver(self, batch: Sequence[Event]) -> None:
        """Puts the batch as one object per day."""
        days: dict[str, list[Event]] = {}
        for event in batch:
            days.setdefault(event["occurredAt"][:10], []).append(event)
        for day, events in days.items():
            body = b"".join(orjson.dumps(event, option=orjson.OPT_SORT_KEYS) + b"\n" for event in events)
            key = f"events/{day}/{hashlib.sha256(body).hexdigest()[:32]}.jsonl"
            await self._put(key, body)

    async def _put(self, key: str, body: bytes) -> None:
        try:
            await self._client.put_object(
                Bucket=self._settings.s3_bucket, Key=key, Body=body, ContentType="application/x-ndjson"
            )
        except (BotoCoreError, ClientError, OSError) as error:
            raise Unavailable("s3") from error

    async def _ensure_bucket(self) -> None:
        location = {} if self._settings.s3_region == "us-east-1" else {"LocationConstraint": self._settings.s3_region}
        try:
            await self._client.head_bucket(Bucket=self._settings.s3_bucket)
        except ClientError:
            options = {"CreateBucketConfiguration": location} if location else {}
            try:
                await self._client.create_bucket(Bucket=self._settings.s3_bucket, **options)
            except (BotoCoreError, ClientError, OSError) as error:
                raise Unavailable("s3") from error
        except (BotoCoreError, OSError) as error:
            raise Unavailable("s3") from error


def sinks(settings: Settings, database: Database) -> list[Sink]:
    """The sinks that the settings name."""
    known: dict[str, Sink] = {"log": LogSink(), "postgresql": PostgresSink(database), "s3": S3Sink(settings)}
    return [known[name] for name in sorted(settings.analytics_sinks)]
