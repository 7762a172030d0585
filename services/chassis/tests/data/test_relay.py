"""An event exists if and only if its row does, and reaches Kafka in the order of its aggregate's changes."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import orjson
import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer, TopicPartition
from chassis import outbox
from chassis.db import Database
from chassis.events import Event
from chassis.kafka import KafkaProducer, ensure_topics
from chassis.outbox import OutboxMessage
from chassis.postgres import DatabaseSettings
from chassis.relay import Relay
from chassis.settings import KafkaSettings, ServiceSettings
from chassis.shards import SHARDS
from chassis.statement import Statement
from chassis.testing import eventually
from prometheus_client import REGISTRY
from sqlmodel import Field, SQLModel

TOPIC = "thing.changed"


class Settings(ServiceSettings, DatabaseSettings, KafkaSettings):
    service_name = "relay-test"
    port: int = 0


class Thing(SQLModel, table=True):
    __tablename__ = "thing"

    id: uuid.UUID = Field(primary_key=True)
    version: int


TOUCH = Statement(
    sa.update(Thing).where(Thing.id == sa.bindparam("thing")).values(version=Thing.version + 1).returning(Thing.version)
)
CREATE = Statement(sa.insert(Thing).values(id=sa.bindparam("id"), version=sa.bindparam("version")))


@dataclass(frozen=True)
class Topic:
    name: str
    partitions: int | None = 3
    config: dict[str, str] = field(default_factory=dict)


def changed(thing: uuid.UUID, version: int, data: dict[str, Any] | None) -> Event:
    return Event("thing.changed", TOPIC, str(thing), "thing", thing, version, data)


@pytest.fixture
async def settings(database_environ: dict[str, str], kafka_environ: dict[str, str], database_url: str) -> Settings:
    settings = Settings.from_environ(
        database_environ | kafka_environ | {"KAFKA_TOPIC_PREFIX": f"t{uuid.uuid4().hex[:8]}."}
    )
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP TABLE IF EXISTS outbox, thing")
    for table in (OutboxMessage, Thing):
        ddl = sa.schema.CreateTable(table.__table__).compile(dialect=sa.dialects.postgresql.dialect())
        await connection.execute(str(ddl))
    await connection.close()
    await ensure_topics(settings, [Topic(TOPIC)])
    return settings


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings)
    await database.start()
    yield database
    await database.stop()


class Relays:
    """Relays as separate processes would be: each with its own pool, producer and connection."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.running: list[list[Any]] = []

    async def add(self, database: Database | None = None) -> Relay:
        database = database or Database(self.settings)
        parts: list[Any] = [database, producer := KafkaProducer(self.settings)]
        parts.append(relay := Relay(self.settings, database, producer))
        for part in parts[1:] if database.pool._pool else parts:
            await part.start()
        self.running.append(parts)
        return relay

    async def stop(self) -> None:
        for parts in self.running:
            for part in reversed(parts):
                await part.stop()


@pytest.fixture
async def relays(settings: Settings) -> AsyncIterator[Relays]:
    relays = Relays(settings)
    yield relays
    await relays.stop()


async def everything(settings: Settings, name: str = TOPIC) -> list[Any]:
    """All records of a topic; within a partition in order."""
    reader = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await reader.start()
    try:
        topic = settings.kafka_topic_prefix + name
        partitions = [TopicPartition(topic, number) for number in range(3)]
        reader.assign(partitions)
        ends = await reader.end_offsets(partitions)
        for partition in partitions:
            reader.seek(partition, 0)
        return [await reader.getone() for _ in range(sum(ends.values()))]
    finally:
        await reader.stop()


async def waiting(database: Database) -> int:
    count = Statement(sa.select(sa.func.count()).select_from(OutboxMessage))
    return int(await database.fetch_value(count))


@pytest.mark.contract("P08", "D01", "E02", "E03", "E06")
async def test_an_event_is_published_as_the_documented_envelope(settings, database, relays) -> None:
    await relays.add(database)
    thing = uuid.uuid4()
    async with database.transaction() as tx:
        await outbox.publish(tx, changed(thing, 1, {"colour": "blue"}))
    records = await eventually(lambda: everything(settings))
    assert records[0].key == str(thing).encode()
    envelope = orjson.loads(records[0].value)
    assert envelope.keys() == {"eventId", "type", "occurredAt", "data"}
    assert uuid.UUID(envelope["eventId"])
    assert envelope["occurredAt"].endswith("Z")
    assert envelope["data"] == {"colour": "blue"}
    headers = dict(records[0].headers)
    assert headers.keys() >= {"x-request-id", "traceparent", "type"}
    await eventually(lambda: _none_wait(database))


async def _none_wait(database: Database) -> bool:
    return await waiting(database) == 0


async def _wait(database: Database, count: int) -> bool:
    return await waiting(database) == count


async def test_no_event_without_its_row(settings, database, relays) -> None:
    await relays.add(database)

    async def fails() -> None:
        async with database.transaction() as tx:
            await outbox.publish(tx, changed(uuid.uuid4(), 1, {"state": "rolled back"}))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails()
    async with database.transaction() as tx:
        await outbox.publish(tx, changed(uuid.uuid4(), 1, {"state": "committed"}))
    records = await eventually(lambda: everything(settings))
    assert [orjson.loads(record.value)["data"]["state"] for record in records] == ["committed"]


async def test_what_waits_is_told_while_kafka_is_away(settings, database) -> None:
    away = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    async with database.transaction() as tx:
        await outbox.publish(tx, changed(uuid.uuid4(), 1, {"colour": "blue"}))
    relays = Relays(away)
    try:
        await relays.add()

        async def told() -> bool:
            messages, oldest = (
                REGISTRY.get_sample_value(name) for name in ("outbox_messages", "outbox_oldest_seconds")
            )
            return messages == 1 and bool(oldest)

        await eventually(told)
    finally:
        await relays.stop()


async def test_data_of_none_is_a_null_value(settings, database, relays) -> None:
    await relays.add(database)
    async with database.transaction() as tx:
        await outbox.publish(tx, changed(uuid.uuid4(), 1, None))
    records = await eventually(lambda: everything(settings))
    assert records[0].value is None


@pytest.mark.contract("D03", "E14")
async def test_three_relays_and_fourteen_writers_lose_and_reorder_nothing(settings, database, relays) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    things = [uuid.uuid4() for _ in range(20)]
    async with database.transaction() as tx:
        for thing in things:
            await tx.execute(CREATE, id=thing, version=0)
    for _ in range(3):
        await relays.add()

    async def write(count: int) -> None:
        for _ in range(count):
            async with database.transaction() as tx:
                thing = dice.choice(things)
                version = await tx.fetch_value(TOUCH, thing=thing)
                await outbox.publish(tx, changed(thing, version, {"version": version}))
                await asyncio.sleep(dice.random() * 0.004)

    await asyncio.gather(*(write(40) for _ in range(14)), _replace_relays(relays))
    await eventually(lambda: _none_wait(database), within=30)
    seen: dict[bytes, list[int]] = {}
    for record in await everything(settings):
        seen.setdefault(record.key, []).append(orjson.loads(record.value)["data"]["version"])
    for versions in seen.values():
        firsts = list(dict.fromkeys(versions))
        assert firsts == list(range(1, len(firsts) + 1))
    assert sum(len(set(versions)) for versions in seen.values()) == 14 * 40


async def _replace_relays(relays: Relays) -> None:
    """While everybody writes, a relay goes away and the others take over its shards."""
    gone, *others = [parts[-1] for parts in relays.running]
    await eventually(lambda: gone.owned)
    await gone.stop()
    await eventually(lambda: sum(len(relay.owned) for relay in others) == SHARDS)


async def test_relays_share_evenly_and_take_over(settings, database, relays) -> None:
    """The first owns everything, until others come; what one leaves is shared again."""

    def shares() -> list[int]:
        return sorted(len(relay.owned) for *_, relay in relays.running)

    first = await relays.add()
    await eventually(lambda: shares() == [SHARDS])
    await relays.add()
    await eventually(lambda: shares() == [4, 4])
    await relays.add()
    await eventually(lambda: shares() == [2, 3, 3])
    assert len(set().union(*(relay.owned for *_, relay in relays.running))) == SHARDS
    await first.stop()
    await eventually(lambda: shares() == [0, 4, 4])


@pytest.mark.contract("E09")
async def test_kafka_may_be_away_while_events_are_written(settings, database, relays, kafka) -> None:
    await relays.add(database)
    await eventually(lambda: relays.running[0][-1].owned)
    kafka.stop()
    try:
        for version in range(1, 21):
            async with database.transaction() as tx:
                await outbox.publish(tx, changed(uuid.UUID(int=version % 4), version, {"version": version}))
        assert await waiting(database) == 20
    finally:
        kafka.start()
    await eventually(lambda: _none_wait(database), within=60)
    records = await everything(settings)
    assert {orjson.loads(record.value)["data"]["version"] for record in records} == set(range(1, 21))


BREAK = """
    INSERT INTO outbox (event_id, aggregate_type, aggregate_id, aggregate_version, topic, key, type, payload, headers)
    VALUES (gen_random_uuid(), 'thing', $1, 1, $2, $1::uuid::text, 'thing.changed', '{}', $3)
"""
MEND = "UPDATE outbox SET payload = $2, headers = '{}' WHERE aggregate_id = $1 AND aggregate_version = 1"


@pytest.mark.parametrize(
    "trouble", ["refused by the broker", "larger than any record", "not to be read", "a topic that is not there"]
)
async def test_an_event_that_cannot_be_sent_holds_back_its_own_aggregate_alone(
    settings, database, relays, database_url, trouble
) -> None:
    """Its later events wait too, in order, until it can be sent; the others pass, before and after it."""
    bad, good = uuid.uuid4(), [uuid.uuid4() for _ in range(20)]
    topics = {"a topic that is not there": "thing.lost", "refused by the broker": "thing.small"}
    topic = topics.get(trouble, TOPIC)
    await ensure_topics(settings, [Topic("thing.small", config={"max.message.bytes": "4000"})])
    data = {"text": "x" * {"refused by the broker": 9000, "larger than any record": 3_000_000}.get(trouble, 1)}

    async def everybody(versions: range) -> None:
        async with database.transaction() as tx:
            for version in versions:
                for thing in good:
                    await outbox.publish(tx, replace(changed(thing, version, {"version": version}), topic=beside))

    beside = "thing.small" if trouble == "refused by the broker" else TOPIC
    await everybody(range(1, 3))
    connection = await asyncpg.connect(database_url)
    if trouble == "not to be read":
        await connection.execute(BREAK, bad, TOPIC, '{"type": 7}')
    else:
        async with database.transaction() as tx:
            await outbox.publish(tx, replace(changed(bad, 1, {"version": 1, **data}), topic=topic))
    async with database.transaction() as tx:
        await outbox.publish(tx, replace(changed(bad, 2, {"version": 2}), topic=topic))
    relay = await relays.add(database)
    await everybody(range(3, 5))
    await eventually(lambda: _wait(database, 2), within=30)
    await everybody(range(5, 7))
    await eventually(lambda: _wait(database, 2), within=30)
    assert (await relay.health()).details["heldBack"] == 1
    seen = versions_of(await everything(settings, beside))
    assert bad not in seen
    assert all(seen[thing] == list(range(1, 7)) for thing in good)
    if trouble == "a topic that is not there":
        await ensure_topics(settings, [Topic(topic)])
    else:
        await connection.execute(MEND, bad, '{"data": {"version": 1}}')
    await connection.close()
    await eventually(lambda: _none_wait(database), within=60)
    assert versions_of(await everything(settings, topic))[bad] == [1, 2]


def versions_of(records: list[Any]) -> dict[uuid.UUID, list[int]]:
    """By key, in the order of their first arrival."""
    seen: dict[uuid.UUID, list[int]] = {}
    for record in records:
        versions = seen.setdefault(uuid.UUID(record.key.decode()), [])
        version = orjson.loads(record.value)["data"]["version"]
        if version not in versions:
            versions.append(version)
    return seen


class Door:
    """Before PostgreSQL. After `vanish` its open connections say nothing more, not even an end, as a lost host does."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open: list[tuple[asyncio.StreamWriter, asyncio.Event]] = []
        self._serving: list[asyncio.Task[None]] = []

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def vanish(self) -> int:
        gone = [(far, lost) for far, lost in self._open if not lost.is_set()]
        for far, lost in gone:
            lost.set()
            far.close()
        return len(gone)

    async def stop(self) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        lost = asyncio.Event()
        self._open.append((far_writer, lost))
        with closing(writer), closing(far_writer):
            await asyncio.gather(self._pump(reader, far_writer, lost), self._pump(far_reader, writer, lost))

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event) -> None:
        while (chunk := await reader.read(65_536)) or lost.is_set():
            if lost.is_set():
                await asyncio.sleep(3600)
            writer.write(chunk)
            await writer.drain()
        writer.close()


@pytest.mark.contract("D01")
async def test_a_database_host_that_is_lost_without_a_word_holds_nothing_up(settings, database, relays) -> None:
    address = urlsplit(settings.database_url)
    door = Door(address.hostname or "", address.port or 0)
    port = await door.start()
    behind = address._replace(netloc=address.netloc.replace(f":{address.port}", f":{port}")).geturl()
    relays.settings = settings.model_copy(update={"database_url": behind, "database_timeout_seconds": 1.0})
    relay = await relays.add()
    await eventually(lambda: len(relay.owned) == SHARDS)
    assert door.vanish() >= 1
    async with database.transaction() as tx:
        await outbox.publish(tx, changed(uuid.uuid4(), 1, {}))
    await eventually(lambda: _none_wait(database), within=15)
    await door.stop()
