"""TLS and names towards real servers: a PostgreSQL with a certificate, and a Kafka that wants SCRAM over TLS."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
import uvloop
from aiokafka.errors import KafkaError
from chassis.consumer import Consumer
from chassis.db import Database
from chassis.environ import ConfigurationError
from chassis.errors import Unavailable
from chassis.ids import new_id
from chassis.kafka import KafkaProducer, ensure_topics
from chassis.postgres import DatabaseSettings
from chassis.security import kafka_client, tls
from chassis.settings import KafkaSettings, ServiceSettings
from chassis.statement import Statement
from chassis.testing import eventually
from chassis.testing.scram import ScramKafka
from chassis.testing.selfsigned import certify
from healthcare_contracts.topics import Topic
from hpctl.embedded.postgres import Postgres

PASSWORD = "a long and honest passphrase"


class Settings(ServiceSettings, DatabaseSettings, KafkaSettings):
    service_name = "security-test"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with server.crt and server.key for 127.0.0.1, signed by itself."""
    folder = tmp_path_factory.mktemp("certificate")
    certify(folder)
    return folder


@pytest.fixture
async def database(postgres: Postgres, certificate: Path) -> AsyncIterator[str]:
    """`host:port` of PostgreSQL over TLS only. The wheel's server has none, so a door before it ends it: a client
    asks by SSLRequest (PostgreSQL, Frontend/Backend Protocol, 55.2.10), is told yes, and the rest is encrypted."""
    postgres.create_database("security", PASSWORD)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "server.crt", certificate / "server.key")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            assert struct.unpack("!ii", await reader.readexactly(8)) == (8, 80877103)
            writer.write(b"S")
            await writer.start_tls(context)
            inner, outer = await asyncio.open_connection(postgres.host, postgres.port)
            with contextlib.closing(outer):
                await asyncio.wait([_pipe(reader, outer), _pipe(inner, writer)], return_when=asyncio.FIRST_COMPLETED)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> "asyncio.Task[None]":
    async def pipe() -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    return asyncio.create_task(pipe())


def _secret(folder: Path, database: str, password: str) -> Path:
    host, _, port = database.partition(":")
    folder.mkdir()
    values = {
        "username": "security",
        "password": password,
        "host": host,
        "port": port,
        "dbname": "security",
    }
    for key, value in values.items():
        (folder / key).write_text(value + "\n")
    return folder


_WHO = Statement(sa.select(sa.text("current_user::text")))


async def test_a_mounted_secret_and_a_checked_certificate_reach_the_database(
    tmp_path: Path, database: str, certificate: Path
) -> None:
    folder = _secret(tmp_path / "secret", database, PASSWORD)
    ca = str(certificate / "server.crt")
    environ = {"DATABASE_SECRET_DIR": str(folder), "DATABASE_TLS": "verify-full", "DATABASE_CA_FILE": ca}
    pool = Database(Settings.from_environ(environ))
    await pool.start()
    try:
        assert await pool.fetch_value(_WHO) == "security"
    finally:
        await pool.stop()


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, database: str) -> None:
    folder = _secret(tmp_path / "secret", database, PASSWORD)
    pool = Database(Settings.from_environ({"DATABASE_SECRET_DIR": str(folder), "DATABASE_TLS": "verify-full"}))
    await pool.start()
    try:
        with pytest.raises(Unavailable):
            await pool.fetch_value(_WHO)
    finally:
        await pool.stop()


def test_what_a_secret_lacks_is_one_sentence_without_a_value(tmp_path: Path) -> None:
    (tmp_path / "username").write_text("somebody")
    with pytest.raises(ConfigurationError, match="DATABASE_SECRET_DIR has no readable file password") as refused:
        Settings.from_environ({"DATABASE_SECRET_DIR": str(tmp_path)})
    assert "somebody" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="needs KAFKA_USERNAME and KAFKA_PASSWORD"):
        Settings.from_environ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"})
    with pytest.raises(ConfigurationError, match="KAFKA_CA_FILE names a file"):
        kafka_client(Settings.from_environ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CA_FILE": "/nowhere"}))


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScramKafka]:
    server = ScramKafka(tmp_path_factory.mktemp("kafka"), {"service": PASSWORD})
    server.start()
    yield server
    server.stop()


def _environ(server: ScramKafka, password: str) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": f"{server.host}:{server.external_port}",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_USERNAME": "service",
        "KAFKA_PASSWORD": password,
        "KAFKA_CA_FILE": str(server.ca),
    }


async def test_producer_and_consumer_prove_their_name_over_tls(
    kafka: ScramKafka, database: str, tmp_path: Path
) -> None:
    secret = _secret(tmp_path / "secret", database, PASSWORD)
    environ = {"DATABASE_SECRET_DIR": str(secret), "DATABASE_TLS": "require", **_environ(kafka, PASSWORD)}
    settings = Settings.from_environ(environ)

    async def made() -> bool:
        with contextlib.suppress(KafkaError):  # the listener for clients comes after the broker's own
            await ensure_topics(settings, [Topic("secured", ("secured",))])
            return True
        return False

    await eventually(made)
    pool, producer = Database(settings), KafkaProducer(settings)
    consumer = Consumer(settings, group="secured", database=pool, producer=producer)
    seen: list[Any] = []

    async def keep(event: Any, _: Any) -> None:
        seen.append(event.data)

    consumer.subscribe({"secured": keep}, [Topic("secured", ("secured",), absent_key="k")])
    for part in (pool, producer, consumer):
        await part.start()
    try:
        event = orjson.dumps(
            {"eventId": str(new_id()), "type": "secured", "occurredAt": "2026-01-01T00:00:00Z", "data": {"a": 1}}
        )

        async def sent() -> bool:
            return (await producer.health()).up

        await eventually(sent)
        await producer.send("secured", b"k", event, [])
        await eventually(lambda: seen == [{"a": 1}], within=30)
    finally:
        for part in (consumer, producer, pool):
            await part.stop()


async def test_a_wrong_password_is_refused(kafka: ScramKafka) -> None:
    producer = KafkaProducer(Settings.from_environ(_environ(kafka, "another")))
    await producer.start()
    try:
        with pytest.raises(Unavailable):
            await producer.send("secured", b"k", b"{}", [])
    finally:
        await producer.stop()


@pytest.fixture
def silent(certificate: Path) -> Iterator[int]:
    """The port of a server that says nothing more once the connection is encrypted, not even farewell."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "server.crt", certificate / "server.key")
    done = threading.Event()

    def serve() -> None:
        accepted, _ = door.accept()
        with context.wrap_socket(accepted, server_side=True):
            done.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as door:
        server = threading.Thread(target=serve)
        server.start()
        yield door.getsockname()[1]
        done.set()
        server.join()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_connection_ends_although_the_other_side_says_no_farewell(silent: int, certificate: Path, run: Any) -> None:
    async def come_and_go() -> None:
        context = tls("KAFKA_CA_FILE", str(certificate / "server.crt"))
        _, writer = await asyncio.open_connection("127.0.0.1", silent, ssl=context)
        writer.close()
        async with asyncio.timeout(5):
            await writer.wait_closed()

    run(come_and_go())
