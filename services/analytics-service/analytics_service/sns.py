"""The sink that publishes events to a topic of Amazon SNS."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import orjson
from chassis.errors import Unavailable

from analytics_service.aws import ERRORS, Endpoint
from analytics_service.settings import Settings
from analytics_service.sinks import Event

MOST_ENTRIES = 10  # of one PublishBatch: https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html


class SnsSink:
    """Messages `{eventId,occurredAt,subjectId,type}`, with the type as an attribute that subscriptions filter by.

    A batch that came through in part comes again as a whole: subscribers go by `eventId`, and a FIFO topic does it for
    them within its five minutes. There, one patient's events keep their order.
    """

    name = "sns"

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.sns_topic_arn or ""
        self._endpoint = Endpoint(
            "sns",
            self._topic.split(":")[3],
            settings.sns_endpoint_url,
            settings.sns_access_key_id,
            settings.sns_secret_access_key,
        )
        self._fifo = self._topic.endswith(".fifo")
        self._stack = AsyncExitStack()
        self._client: Any = None

    async def open(self) -> None:
        """Connects, and makes the topic where it is missing.

        Raises:
            Unavailable: the server does not answer, or does not let us.
        """
        self._client = await self._stack.enter_async_context(self._endpoint.client())
        try:
            await self._ensure_topic()
        except ERRORS as error:
            raise Unavailable("sns") from error

    async def close(self) -> None:
        """Disconnects."""
        await self._stack.aclose()

    async def deliver(self, batch: Sequence[Event]) -> None:
        """Publishes the batch, ten events a request."""
        for first in range(0, len(batch), MOST_ENTRIES):
            events = batch[first : first + MOST_ENTRIES]
            entries = [self._entry(number, event) for number, event in enumerate(events)]
            try:
                answer = await self._client.publish_batch(TopicArn=self._topic, PublishBatchRequestEntries=entries)
            except ERRORS as error:
                raise Unavailable("sns") from error
            if answer.get("Failed"):
                raise Unavailable("sns")

    def _entry(self, number: int, event: Event) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "Id": str(number),
            "Message": orjson.dumps(event, option=orjson.OPT_SORT_KEYS).decode(),
            "MessageAttributes": {"type": {"DataType": "String", "StringValue": event["type"]}},
        }
        if self._fifo:
            entry |= {"MessageGroupId": event["subjectId"] or event["type"], "MessageDeduplicationId": event["eventId"]}
        return entry

    async def _ensure_topic(self) -> None:
        try:
            await self._client.get_topic_attributes(TopicArn=self._topic)
        except self._client.exceptions.NotFoundException:
            attributes = {"FifoTopic": "true"} if self._fifo else {}
            await self._client.create_topic(Name=self._topic.rpartition(":")[2], Attributes=attributes)
