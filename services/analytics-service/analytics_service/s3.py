"""The sink that keeps events as objects of an S3 server."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import orjson
from botocore.exceptions import ClientError
from chassis.errors import Unavailable

from analytics_service.aws import ERRORS, Endpoint
from analytics_service.settings import Settings
from analytics_service.sinks import Event


class S3Sink:
    """Objects of JSON lines under `events/<day>/`, named for their first event.

    A batch that comes again, because the process died before it could be noted as delivered, begins with the same event
    and may by then be longer: it overwrites itself. Readers that must be certain go by `eventId` all the same.
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
        given = self._settings
        endpoint = Endpoint(
            "s3", given.s3_region, given.s3_endpoint_url, given.s3_access_key_id, given.s3_secret_access_key
        )
        options = {"s3": {"addressing_style": "path"}} if given.s3_endpoint_url else {}
        self._client = await self._stack.enter_async_context(endpoint.client(**options))
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
            await self._put(f"events/{day}/{events[0]['eventId']}.jsonl", body)

    async def _put(self, key: str, body: bytes) -> None:
        try:
            await self._client.put_object(
                Bucket=self._settings.s3_bucket, Key=key, Body=body, ContentType="application/x-ndjson"
            )
        except ERRORS as error:
            raise Unavailable("s3") from error

    async def _ensure_bucket(self) -> None:
        location = {} if self._settings.s3_region == "us-east-1" else {"LocationConstraint": self._settings.s3_region}
        try:
            await self._client.head_bucket(Bucket=self._settings.s3_bucket)
        except ClientError:
            options = {"CreateBucketConfiguration": location} if location else {}
            try:
                await self._client.create_bucket(Bucket=self._settings.s3_bucket, **options)
            except ERRORS as error:
                raise Unavailable("s3") from error
        except ERRORS as error:
            raise Unavailable("s3") from error
