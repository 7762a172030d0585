"""The stack's Kafka, read and written message by message."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError
from chassis import topiclog
from chassis.topiclog import TopicLog

from hpctl.layout import Failure, Layout


def servers(layout: Layout) -> str:
    """The address of its broker."""
    return f"127.0.0.1:{layout.port('KAFKA_PORT')}"


def silent(layout: Layout, error: KafkaError) -> Failure:
    """What to say when Kafka does not answer."""
    return Failure(f"Kafka at {servers(layout)} (KAFKA_PORT) does not answer: {error}; is the stack up?")


@asynccontextmanager
async def connected(layout: Layout) -> AsyncIterator[TopicLog]:
    """The log of a running stack; Failure says what to do when there is none."""
    try:
        async with topiclog.connected({"bootstrap_servers": servers(layout)}) as log:
            yield log
    except KafkaError as error:
        raise silent(layout, error) from error
