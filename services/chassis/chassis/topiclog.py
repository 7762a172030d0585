"""Topics as what they are: partitions of messages with a beginning and an end, read and written message by message."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from chassis import batches

LARGEST_BYTES = 2_097_152
"""A dead letter is the largest message that the brokers take (1 MiB) and the headers that say why."""


class TopicLog:
    """Names are those on the wire."""

    def __init__(self, reader: AIOKafkaConsumer, writer: AIOKafkaProducer, admin: AIOKafkaAdminClient) -> None:
        self._reader = reader
        self._writer = writer
        self._writing = False
        self._admin = admin

    async def topics(self) -> set[str]:
        """The names of all topics."""
        return set(await self._reader.topics())

    async def bounds(self, *topics: str) -> dict[TopicPartition, tuple[int, int]]:
        """The first offset and the one after the last, of each partition of these topics."""
        described = await self._admin.describe_topics(list(topics))
        partitions = [
            TopicPartition(each["topic"], one["partition"]) for each in described for one in each["partitions"]
        ]
        first = await self._reader.beginning_offsets(partitions)
        end = await self._reader.end_offsets(partitions)
        return {partition: (first[partition], end[partition]) for partition in partitions}

    async def read(self, partition: TopicPartition, first: int, end: int) -> AsyncIterator[ConsumerRecord]:
        """The messages from `first` up to `end`, which is not included; compaction may have left gaps."""
        if first >= end:
            return  # changing the assignment for nothing costs a turn of the reader's fetch loop
        self._reader.assign([partition])
        self._reader.seek(partition, first)
        while first < end:
            batch = await self._reader.getmany(partition, timeout_ms=1000)
            for record in batch.get(partition, []):
                if record.offset >= end:
                    return
                yield record
            first = await self._reader.position(partition)

    async def append(
        self, to: TopicPartition, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> None:
        """Write one message and wait until the brokers have it."""
        if not self._writing:
            await self._writer.start()
            self._writing = True
        await self._writer.send_and_wait(to.topic, value, key=key, partition=to.partition, headers=list(headers))

    async def delete_before(self, partition: TopicPartition, offset: int) -> None:
        """Delete a partition's messages up to an offset, which stays."""
        await self._admin.delete_records({partition: RecordsToDelete(offset)})


@asynccontextmanager
async def connected(client: Mapping[str, Any]) -> AsyncIterator[TopicLog]:
    """The log behind the brokers that a client is made for (chassis.security.kafka_client).

    Raises:
        KafkaError: they do not answer.
    """
    batches.install()
    # A short wait, for each partition is left as soon as its end is reached.
    reader = AIOKafkaConsumer(**client, enable_auto_commit=False, fetch_max_wait_ms=20)
    writer = AIOKafkaProducer(**client, acks="all", enable_idempotence=True, max_request_size=LARGEST_BYTES)
    admin = AIOKafkaAdminClient(**client)
    try:
        await reader.start()
        await admin.start()
        yield TopicLog(reader, writer, admin)
    finally:
        await reader.stop()
        await writer.stop()
        await admin.close()
