"""LocalStack as a client of AWS on this machine sees it: the bucket's objects, and a queue that the topic feeds."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiobotocore.session import get_session

REGION = "eu-central-1"
TOPIC = f"arn:aws:sns:{REGION}:000000000000:healthcare-events"
BUCKET = "healthcare-events"


class Cloud:
    """What has arrived there."""

    def __init__(self, s3: Any, sqs: Any, queue: str) -> None:
        self._s3 = s3
        self._sqs = sqs
        self._queue = queue
        self._heard: list[dict[str, Any]] = []

    async def published(self, subject: str) -> dict[str, Any] | None:
        """That this patient was created, if the queue has been sent it."""
        answer = await self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10, WaitTimeSeconds=0)
        self._heard += [json.loads(each["Body"]) for each in answer.get("Messages", ())]
        return _of(subject, self._heard)

    async def kept(self, subject: str) -> dict[str, Any] | None:
        """That this patient was created, if an object of the bucket has it."""
        listed = await self._s3.list_objects_v2(Bucket=BUCKET, Prefix="events/")
        lines = []
        for each in listed.get("Contents", ()):
            answer = await self._s3.get_object(Bucket=BUCKET, Key=each["Key"])
            lines += (await answer["Body"].read()).splitlines()
        return _of(subject, [json.loads(line) for line in lines])


@asynccontextmanager
async def cloud(port: int) -> AsyncIterator[Cloud]:
    """A client with a queue of its own, which is subscribed to the topic, made here or by the service."""
    where: dict[str, Any] = {"region_name": REGION, "endpoint_url": f"http://127.0.0.1:{port}"}
    where |= {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    session = get_session()
    async with session.create_client("s3", **where) as s3, session.create_client("sqs", **where) as sqs:
        queue = (await sqs.create_queue(QueueName="listener"))["QueueUrl"]
        arn = (await sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"]))["Attributes"]["QueueArn"]
        async with session.create_client("sns", **where) as sns:
            await sns.create_topic(Name=TOPIC.rpartition(":")[2])
            raw = {"RawMessageDelivery": "true"}
            await sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=arn, Attributes=raw)
        yield Cloud(s3, sqs, queue)


def _of(subject: str, events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Topics keep no order between them: the patient's billing account may have been told of before."""
    found = (event for event in events if (event["subjectId"], event["type"]) == (subject, "patient.created"))
    return next(found, None)
