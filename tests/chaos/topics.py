"""What lies in Kafka's topics, read from their beginning."""

import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError


class Topics:
    """The topics of one broker."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    async def published(self, topics: Iterable[str]) -> Counter[str]:
        """Distinct events, by type."""
        seen: set[tuple[str, str]] = set()
        for topic in topics:
            for record in await self.records(topic):
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    event = json.loads(record.value or b"")
                    seen.add((event["type"], event["eventId"]))
        return Counter(kind for kind, _ in seen)

    async def records(self, topic: str) -> list[Any]:
        """Everything that a topic holds; nothing when it does not exist."""
        reader = AIOKafkaConsumer(bootstrap_servers=self._bootstrap)
        try:
            await reader.start()
            numbers = reader.partitions_for_topic(topic) or await self._partitions(reader, topic)
            partitions = [TopicPartition(topic, number) for number in numbers]
            if not partitions:
                return []
            reader.assign(partitions)
            ends = await reader.end_offsets(partitions)
            found: list[Any] = []
            for partition in partitions:
                reader.seek(partition, 0)
            while any([await reader.position(partition) < ends[partition] for partition in partitions]):
                for batch in (await reader.getmany(timeout_ms=200)).values():
                    found += batch
            return found
        except KafkaConnectionError:
            raise AssertionError("the broker is not back yet") from None
        finally:
            await reader.stop()

    async def _partitions(self, reader: AIOKafkaConsumer, topic: str) -> set[int]:
        return (await reader._client.fetch_all_metadata()).partitions_for_topic(topic) or set()

    async def filled(self, topics: Iterable[str]) -> dict[str, list[bytes]]:
        """What lies in those of them that are not empty."""
        found = {topic: [record.value for record in await self.records(topic)] for topic in topics}
        return {topic: values for topic, values in found.items() if values}

    @contextlib.asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()
