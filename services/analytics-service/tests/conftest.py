"""The analytics service under a real server, a producer of events, and an S3 server that keeps its objects."""

import json
import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from aiokafka import AIOKafkaProducer
from analytics_service.main import create_app
from analytics_service.settings import Settings
from chassis.testing import serve, token
from hpctl.embedded.jars import Jars, class_path
from hpctl.embedded.kafka import find_java
from hpctl.embedded.process import Server, dying_with_parent

S3MOCK = Jars("S3Mock 5.0.0", "s3mock-5.0.0", Path(__file__).with_name("s3mock.sha256"))


class S3Mock(Server):
    """Adobe's S3Mock on the embedded Java; objects stay on disk over a restart."""

    name = "s3mock"

    def prepare(self) -> None:
        (self.jar,) = class_path(S3MOCK)
        (self.directory / "objects").mkdir(exist_ok=True)
        # It writes this file for its own root, and after a restart takes it for a bucket and answers 500 to all.
        (self.directory / "objects" / "bucketMetadata.json").unlink(missing_ok=True)

    def command(self) -> list[str]:
        options = ["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        ports = ["--server.port=0", f"--http.port={self.port}"]
        return dying_with_parent([str(find_java()), *options, "-jar", str(self.jar), *ports])

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "COM_ADOBE_TESTING_S3MOCK_STORE_ROOT": str(self.directory / "objects"),
            "COM_ADOBE_TESTING_S3MOCK_STORE_RETAIN_FILES_ON_EXIT": "true",
        }

    def answers(self) -> bool:
        with socket.create_connection((self.host, self.port), timeout=2) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(12).endswith(b"200")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Mock]:
    server = S3Mock(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.stop()


class Events:
    """Writes events as the other services do."""

    def __init__(self, producer: AIOKafkaProducer, prefix: str) -> None:
        self._producer = producer
        self._prefix = prefix

    async def send(self, topic: str, type: str | None = None, value: bytes | None = None) -> bytes:
        subject = str(uuid.uuid4())
        data = {"patientId": subject, "userId": subject, "name": "Canary Name", "email": "canary@example.com"}
        event = {
            "eventId": str(uuid.uuid4()),
            "type": type or topic,
            "occurredAt": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "data": data | {"version": 1},
        }
        value = value or json.dumps(event).encode()
        await self.raw(topic, json.loads(value)["data"]["patientId"].encode(), value)
        return value

    async def raw(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        await self._producer.send_and_wait(self._prefix + topic, value, key=key)


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return Settings.from_environ(environ | {"ANALYTICS_FLUSH_SECONDS": "0.1"})


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {token('ADMIN')}"}
    async with (
        serve(create_app(settings)) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as client,
    ):
        yield client


@pytest.fixture
async def events(settings: Settings) -> AsyncIterator[Events]:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await producer.start()
    yield Events(producer, settings.kafka_topic_prefix)
    await producer.stop()


@pytest.fixture
def by_type(client: httpx.AsyncClient) -> Callable[[], Any]:
    async def counted() -> dict[str, int]:
        found: dict[str, int] = (await client.get("/analytics/summary")).json()["byType"]
        return found

    return counted
