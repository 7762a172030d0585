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
        for records in (await self.read(topics)).values():
            for record in records:
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    event = json.loads(record.value or b"")
                    seen.add((event["type"], event["eventId"]))
        return Counter(kind for kind, _ in seen)

    async def records(self, topic: str) -> list[Any]:
        """Everything that a topic holds; nothing when it does not exist."""
        return (await self.read([topic]))[topic]

    async def filled(self, topics: Iterable[str]) -> dict[str, list[bytes]]:
        """What lies in those of them that are not empty."""
        found = await self.read(topics)
        return {topic: [record.value for record in records] for topic, records in found.items() if records}

    async def read(self, topics: Iterable[str]) -> dict[str, list[Any]]:
        """Everything that each of these topics holds, by one reader; nothing where it does not exist."""
        found: dict[str, list[Any]] = {topic: [] for topic in topics}
        reader = AIOKafkaConsumer(bootstrap_servers=self._bootstrap)
        try:
            await reader.start()
            known = await reader._client.fetch_all_metadata()
            partitions = [
                TopicPartition(name, each) for name in found for each in known.partitions_for_topic(name) or ()
            ]
            if not partitions:
                return found
            reader.assign(partitions)
            ends = await reader.end_offsets(partitions)
            for partition in partitions:
                reader.seek(partition, 0)
            while any([await reader.position(partition) < ends[partition] for partition in partitions]):
                for partition, batch in (await reader.getmany(timeout_ms=200)).items():
                    found[partition.topic] += batch
            return found
        except KafkaConnectionError:
            raise AssertionError("the broker is not back yet") from None
        finally:
            await reader.stop()

    @contextlib.asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()
