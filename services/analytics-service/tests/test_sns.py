"""The SNS sink publishes every event, also while the server is away, and nobody's data."""

import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiobotocore.session import get_session
from analytics_service.main import create_app
from analytics_service.settings import Settings
from chassis.environ import ConfigurationError
from chassis.testing import eventually, serve
from hpctl.embedded.process import Server, dying_with_parent

REGION = "eu-central-1"
TOPICS = [f"arn:aws:sns:{REGION}:123456789012:{name}" for name in ("healthcare-events", "healthcare-events.fifo")]


class Moto(Server):
    """SNS and SQS by moto: topics and queues of its own, in memory."""

    name = "moto"

    def prepare(self) -> None:
        """It keeps nothing on disk."""

    def command(self) -> list[str]:
        return dying_with_parent([sys.executable, "-m", "moto.server", "-H", self.host, "-p", str(self.port)])

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def answers(self) -> bool:
        with socket.create_connection((self.host, self.port), timeout=2) as connection:
            connection.sendall(b"GET /moto-api/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(12).endswith(b"200")


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    server = Moto(tmp_path_factory.mktemp("moto"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=TOPICS, ids=["standard", "fifo"])
def to_sns(request: pytest.FixtureRequest, environ: dict[str, str], moto: Moto) -> Settings:
    more = {
        "SHUTDOWN_DRAIN_SECONDS": "0",
        "ANALYTICS_SINKS": "sns",
        "ANALYTICS_FLUSH_SECONDS": "0.1",
        "SNS_ENDPOINT_URL": f"http://{moto.host}:{moto.port}",
        "SNS_TOPIC_ARN": request.param,
        "SNS_ACCESS_KEY_ID": "anybody",
        "SNS_SECRET_ACCESS_KEY": "anything",
    }
    return Settings.from_environ(environ | more)


@pytest.fixture
async def received(to_sns: Settings) -> AsyncIterator[Any]:
    """What a queue that is subscribed to the topic has been sent, envelope and message."""
    where: dict[str, Any] = {
        "region_name": REGION,
        "endpoint_url": to_sns.sns_endpoint_url,
        "aws_access_key_id": "anybody",
        "aws_secret_access_key": "anything",
    }
    topic = str(to_sns.sns_topic_arn)
    name = topic.rpartition(":")[2]
    fifo = name.endswith(".fifo")
    async with get_session().create_client("sns", **where) as sns, get_session().create_client("sqs", **where) as sqs:
        await sns.create_topic(Name=name, Attributes={"FifoTopic": "true"} if fifo else {})
        queue = (await sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if fifo else {}))["QueueUrl"]
        arn = (await sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"]))["Attributes"]["QueueArn"]
        await sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        heard: list[dict[str, Any]] = []

        async def so_far() -> list[dict[str, Any]]:
            answer = await sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0)
            for each in answer.get("Messages", ()):
                heard.append(json.loads(each["Body"]))
                await sqs.delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
            return heard

        yield so_far


def ids(heard: list[dict[str, Any]]) -> set[str]:
    return {json.loads(each["Message"])["eventId"] for each in heard}


@pytest.mark.contract("X19", "N02")
async def test_events_reach_the_topic_also_those_of_its_absence(to_sns, received, events, moto) -> None:
    sent = []

    async def send(count: int) -> None:
        sent.extend([json.loads(await events.send("patient.created"))["eventId"] for _ in range(count)])

    async def all_there() -> bool:
        return set(sent) <= ids(await received())

    async with serve(create_app(to_sns)):
        await send(25)
        await eventually(all_there, within=30)
        moto.pause()
        try:
            await send(3)
        finally:
            moto.resume()
        await eventually(all_there, within=30)
    heard = await received()
    assert ids(heard) == set(sent)
    for each in heard:
        assert json.loads(each["Message"]).keys() == {"eventId", "occurredAt", "subjectId", "type"}
        assert each["MessageAttributes"]["type"]["Value"] == "patient.created"
        assert "anary" not in json.dumps(each)


async def test_a_missing_topic_is_made(to_sns, events, moto) -> None:
    other = to_sns.model_copy(update={"sns_topic_arn": str(to_sns.sns_topic_arn).replace("events", "new-events")})

    async def topics() -> list[str]:
        where = {"region_name": REGION, "endpoint_url": to_sns.sns_endpoint_url}
        key = {"aws_access_key_id": "anybody", "aws_secret_access_key": "anything"}
        async with get_session().create_client("sns", **where, **key) as sns:
            return [each["TopicArn"] for each in (await sns.list_topics())["Topics"]]

    async def made() -> bool:
        return other.sns_topic_arn in await topics()

    assert not await made()
    async with serve(create_app(other)):
        await eventually(made, within=30)


@pytest.mark.parametrize(
    "wrong",
    [{}, {"SNS_TOPIC_ARN": "healthcare-events"}, {"SNS_TOPIC_ARN": TOPICS[0], "SNS_ACCESS_KEY_ID": "half a pair"}],
    ids=["no topic", "no ARN", "half a key"],
)
def test_what_cannot_work_is_told_at_the_start(environ: dict[str, str], wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"(?i)sns"):
        Settings.from_environ(environ | {"ANALYTICS_SINKS": "sns"} | wrong)
