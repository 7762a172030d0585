"""Offsets of messages that are done, committed together many times a second.

A round trip to the broker after every message would be most of what the message costs. What is done but not yet
committed when a process dies is delivered again, which every handler has to stand anyway.
"""

import asyncio
from contextlib import suppress
from typing import Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from chassis import logs

log = logs.logger(__name__)

STOP_SECONDS = 5.0


class Receipt(Protocol):
    """What the framework acknowledges or gives back a message with."""

    kafka: AIOKafkaConsumer

    async def commit(self) -> None:
        """The message is done."""

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from there."""


class Offsets(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """The offsets to commit for one member, and the listener that commits them before partitions change hands."""

    def __init__(self, group: str, seconds: float) -> None:
        self._group = group
        self._seconds = seconds
        self._done: dict[TopicPartition, int] = {}
        self._kafka: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None

    def receipt(self, kafka: AIOKafkaConsumer, record: ConsumerRecord) -> Receipt:
        """For one message."""
        return _Receipt(self, kafka, record)

    def done(self, kafka: AIOKafkaConsumer, record: ConsumerRecord) -> None:
        """The message took effect; its offset goes with the next commit."""
        self._kafka = kafka
        self._done[TopicPartition(record.topic, record.partition)] = record.offset + 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._soon(), name=f"offsets of {self._group}")

    async def flush(self) -> None:
        """Commit now what is done. A commit that the group refuses is dropped: whoever reads next reads it again."""
        done, self._done = self._done, {}
        if self._kafka is None or not done:
            return
        assigned = self._kafka.assignment()
        mine = {partition: offset for partition, offset in done.items() if partition in assigned}
        try:
            if mine:
                await self._kafka.commit(mine)
        except KafkaError as error:
            log.warning("offsets were not committed", group=self._group, error=type(error).__name__)

    async def stop(self) -> None:
        """Commit what is left, unless the broker does not answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds + STOP_SECONDS):
                if self._task:
                    await self._task
                await self.flush()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Before the group shares its partitions out anew, while this member's word still counts."""
        await self.flush()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Nothing: they start from what was committed."""

    async def _soon(self) -> None:
        while self._done:
            await asyncio.sleep(self._seconds)
            await self.flush()


class _Receipt:
    def __init__(self, offsets: Offsets, kafka: AIOKafkaConsumer, record: ConsumerRecord) -> None:
        self.kafka = kafka
        self._offsets = offsets
        self._record = record

    async def commit(self) -> None:
        self._offsets.done(self.kafka, self._record)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition in self.kafka.assignment():
            self.kafka.seek(partition, offset)
