"""The embedded servers through their clients, and what tests may do to them."""

import asyncio
import contextlib
import os
import signal
import time

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from chassis.testing import eventually
from hpctl.embedded.postgres import Postgres
from hpctl.groups import dismiss_members
from redis.asyncio import Redis


async def test_postgres_keeps_its_data_when_killed(postgres, database_url):
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
    await connection.close()
    postgres.kill()
    postgres.start()
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT n FROM kept") == 1
    await connection.close()


@pytest.mark.contract("A14")
async def test_postgres_is_new_enough_and_each_role_sees_its_own_database_only(postgres, database_environ):
    assert int(postgres.execute("SHOW server_version_num")) >= 150000
    postgres.create_database("neighbour", "secret")
    with pytest.raises(asyncpg.PostgresError):
        await asyncpg.connect(
            host=postgres.host,
            port=postgres.port,
            user="neighbour",
            password="secret",
            database=database_environ["DATABASE_USER"],
        )


@pytest.mark.contract("A08")
async def test_valkey_speaks_redis_7(valkey, redis_environ):
    async with Redis(
        host=valkey.host, port=valkey.port, password=valkey.password, db=int(redis_environ["REDIS_DATABASE"])
    ) as client:
        assert (await client.info("server"))["redis_version"].startswith("7.")
        await client.set("name", "value")
        valkey.kill()
        valkey.start()
        assert await client.get("name") is None


async def test_kafka_keeps_messages_over_kill_and_freeze(kafka, kafka_environ):
    topic = kafka_environ["KAFKA_TOPIC_PREFIX"] + "kept"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, acks="all")
    await producer.start()
    await producer.send_and_wait(topic, b"before")
    kafka.kill()
    started = time.monotonic()
    await asyncio.to_thread(kafka.start)
    assert time.monotonic() - started < 30
    kafka.pause()
    sending = asyncio.create_task(producer.send_and_wait(topic, b"after"))
    await asyncio.sleep(0)
    kafka.resume()
    await sending
    await producer.stop()
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest", group_id=topic
    ) as consumer:
        values = [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(2)]
    assert values == [b"before", b"after"]


async def test_a_killed_postmaster_that_nobody_reaps_is_no_obstacle(tmp_path):
    first = Postgres(tmp_path / "pg", durable=False)
    first.start()
    backends = psutil.Process(first.pid).children()
    for backend in backends:
        with contextlib.suppress(psutil.NoSuchProcess):
            backend.suspend()  # so that it cannot leave by itself
    os.kill(first.pid, signal.SIGKILL)
    await eventually(lambda: psutil.Process(first.pid).status() == psutil.STATUS_ZOMBIE)
    second = Postgres(tmp_path / "pg", first.port, durable=False)
    second.start()
    assert second.execute("SELECT 1") == "1"
    second.stop()
    first.kill()
    assert not any(backend.is_running() for backend in backends)


async def test_dead_members_are_dismissed_from_their_groups(kafka, kafka_environ):
    topic = kafka_environ["KAFKA_TOPIC_PREFIX"] + "left"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    async with AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap_servers, group_id=topic) as consumer:
        await eventually(consumer.assignment)
        assert await dismiss_members(kafka.bootstrap_servers, [topic, "unknown"]) == 1
        assert await dismiss_members(kafka.bootstrap_servers, ["unknown"]) == 0


async def test_eventually_waits_and_tells_the_last_failure():
    answers = iter([0, 0, 7])
    assert await eventually(lambda: next(answers)) == 7
    with pytest.raises(AssertionError, match="still not so"):
        await eventually(lambda: False, within=0.05)
