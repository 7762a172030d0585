"""A topic prefix, a database with one table, and a consumer that writes what it handled there."""

import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import asyncpg
import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from chassis.consumer import Consumer
from chassis.db import Database
from chassis.kafka import KafkaProducer
from chassis.postgres import DatabaseSettings
from chassis.received import Received
from chassis.retries import Backoff
from chassis.settings import KafkaSettings, ServiceSettings
from chassis.statement import Statement
from chassis.subscription import Tuning
from chassis.transaction import Transaction
from sqlmodel import Field, SQLModel

FAST = Tuning(
    backoff=Backoff(first=0.05, ceiling=0.4),
    handler_seconds=10,
    watchdog_tick=0.2,
    stall_seconds=1.5,
    session_timeout_ms=6000,
    metadata_max_age_ms=1000,
)


class Settings(ServiceSettings, DatabaseSettings, KafkaSettings):
    service_name: ClassVar[str] = "consumer-test"
    port: int = 0


@dataclass(frozen=True)
class Contract:
    """A topic whose events are about nobody, so that all have one key."""

    name: str
    types: tuple[str, ...] = ("thing.happened",)
    key_field: str = "subject"
    absent_key: str | None = "key"


class Effect(SQLModel, table=True):
    __tablename__ = "effect"

    event_id: uuid.UUID = Field(primary_key=True)  # only SQLModel wants a key; the table below has none
    number: int


WRITE = Statement(sa.insert(Effect))

TABLES = """
    CREATE TABLE IF NOT EXISTS effect (event_id uuid NOT NULL, number integer NOT NULL, at bigserial);
    CREATE TABLE IF NOT EXISTS inbox (event_id uuid PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now());
"""


def message(number: int, **changes: Any) -> bytes:
    """An event's value; equal numbers are equal events."""
    envelope = {
        "eventId": str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
        "type": "thing.happened",
        "occurredAt": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "data": {"number": number},
    }
    return json.dumps(envelope | changes).encode()


async def write(event: Received, tx: Transaction) -> None:
    await tx.execute(WRITE, event_id=event.event_id, number=event.data["number"])


class World:
    """Topics, messages and effects of one test."""

    terms = Contract
    message = staticmethod(message)
    write = staticmethod(write)

    def __init__(self, environ: dict[str, str], database_url: str) -> None:
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.environ = environ
        self.settings = Settings.from_environ(
            environ | {"KAFKA_TOPIC_PREFIX": self.prefix, "CONSUMER_REPAIR_SECONDS": "0.6"}
        )
        self.database_url = database_url
        self.stack = AsyncExitStack()

    async def open(self) -> None:
        self.producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers, acks="all", max_request_size=2_097_152
        )
        await self.producer.start()
        self.stack.push_async_callback(self.producer.stop)
        self.database = await self.part(Database(self.settings))
        self.dead_letter_producer = await self.part(KafkaProducer(self.settings))
        await self.query("DROP TABLE IF EXISTS effect, inbox")
        await self.query(TABLES)

    async def part(self, part: Any) -> Any:
        await part.start()
        self.stack.push_async_callback(part.stop)
        return part

    def tuned(self, **changes: Any) -> Tuning:
        return replace(FAST, **changes)

    def child_environ(self) -> dict[str, str]:
        """What another process needs to run with this test's servers, prefix and helpers."""
        environ = self.environ | {"KAFKA_TOPIC_PREFIX": self.prefix}
        return {"TEST_FOLDER": str(Path(__file__).parent), "TEST_SETTINGS": json.dumps(environ)}

    async def topics(self, *names: str, partitions: int = 1) -> None:
        """The topics; consumers make their dead-letter topics."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap_servers)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(self.prefix + name, partitions, 1) for name in names])
        finally:
            await admin.close()

    async def send(self, topic: str, *values: bytes | None, key: bytes | None = b"key", **options: Any) -> None:
        for value in values:
            await self.producer.send_and_wait(self.prefix + topic, value, key=key, **options)

    def consumer(self, *, group: str = "group", tuning: Tuning = FAST) -> Consumer:
        return Consumer(
            self.settings, group=group, database=self.database, producer=self.dead_letter_producer, tuning=tuning
        )

    @asynccontextmanager
    async def consuming(
        self,
        handlers: dict[str, Callable[[Received, Transaction], Awaitable[None]]],
        *,
        inbox: bool = False,
        **options: Any,
    ) -> AsyncIterator[Consumer]:
        consumer = self.consumer(**options)
        consumer.subscribe(handlers, map(Contract, handlers), inbox=inbox)
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()

    async def query(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database_url)
        try:
            if values:
                return await connection.fetch(sql, *values)
            if sql.lstrip().startswith("SELECT"):
                return await connection.fetch(sql)
            await connection.execute(sql)
            return []
        finally:
            await connection.close()

    async def effects(self) -> list[int]:
        """The numbers in the order in which they were written."""
        return [row["number"] for row in await self.query("SELECT number FROM effect ORDER BY at")]

    def wrote(self, numbers: Iterable[int], *, in_order: bool = True) -> Callable[[], Awaitable[bool]]:
        """A check for `eventually`: exactly these effects are there."""

        async def check() -> bool:
            effects = await self.effects()
            assert (effects if in_order else sorted(effects)) == list(numbers)
            return True

        return check

    async def dead_letters(self, topic: str, group: str = "group") -> list[ConsumerRecord]:
        return await self.records(f"{self.prefix}{topic}.{group}.dlq")

    async def records(self, topic: str) -> list[ConsumerRecord]:
        """Everything in partition 0 of a topic on the wire."""
        reader = AIOKafkaConsumer(bootstrap_servers=self.settings.kafka_bootstrap_servers)
        await reader.start()
        try:
            partition = TopicPartition(topic, 0)
            reader.assign([partition])
            end = (await reader.end_offsets([partition]))[partition]
            reader.seek(partition, 0)
            return [await reader.getone() for _ in range(end)]
        finally:
            await reader.stop()

    async def retention(self, topic: str) -> timedelta:
        """How long a topic keeps its messages."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap_servers)
        await admin.start()
        try:
            [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, self.prefix + topic)])
        finally:
            await admin.close()
        [(*_, settings)] = answer.resources
        return timedelta(milliseconds=next(int(value) for name, value, *_ in settings if name == "retention.ms"))

    async def committed(self, topic: str, group: str = "group", partition: int = 0) -> int | None:
        """The group's committed offset."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap_servers)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(self.prefix + group)
        finally:
            await admin.close()
        found = offsets.get(TopicPartition(self.prefix + topic, partition))
        return found.offset if found else None


@pytest.fixture
async def world(
    database_environ: dict[str, str], kafka_environ: dict[str, str], database_url: str
) -> AsyncIterator[World]:
    world = World(database_environ | kafka_environ, database_url)
    async with world.stack:
        await world.open()
        yield world
