"""Dead letters by the command line, on a real broker."""

import asyncio
import os
import pty
import subprocess
import sys
import uuid

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

SECRET = b'{"name":"Canary Person"}'


class Letters:
    """A topic, its dead-letter topic, and the command line."""

    def __init__(self, servers: str, port: int) -> None:
        self.servers = servers
        self.port = port
        self.topic = f"things-{uuid.uuid4().hex[:8]}"
        self.dead = f"{self.topic}.readers.dlq"

    async def create(self) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        await admin.start()
        await admin.create_topics([NewTopic(self.topic, 1, 1), NewTopic(self.dead, 1, 1)])
        await admin.close()

    async def send(self, topic: str, key: bytes, value: bytes | None, **headers: str) -> int:
        async with AIOKafkaProducer(bootstrap_servers=self.servers) as producer:
            pairs = [(name.replace("_", "-"), text.encode()) for name, text in headers.items()]
            return (await producer.send_and_wait(topic, value, key=key, headers=pairs)).offset

    async def bury(self, key: bytes, value: bytes) -> None:
        """Write a message, and its dead letter as a consumer does."""
        offset = await self.send(self.topic, key, value, type="thing")
        facts = {"topic": self.topic, "partition": "0", "offset": str(offset), "group": "readers", "reason": "bad"}
        await self.send(self.dead, key, value, type="thing", **{f"dead_letter_{k}": v for k, v in facts.items()})

    async def read(self, topic: str, count: int) -> list:
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=self.servers, auto_offset_reset="earliest")
        async with consumer:
            return [await asyncio.wait_for(consumer.getone(), 10) for _ in range(count)]

    def hpctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        environ = os.environ | {"PORT_OFFSET": "0", "KAFKA_PORT": str(self.port)}
        return subprocess.run(
            [sys.executable, "-m", "hpctl", "dlq", *words],
            env=environ, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def typed(self, answer: str, *words: str) -> int:
        """The exit code of a command at a terminal, at which somebody types this answer."""
        keyboard, terminal = pty.openpty()
        environ = os.environ | {"PORT_OFFSET": "0", "KAFKA_PORT": str(self.port)}
        command = [sys.executable, "-m", "hpctl", "dlq", *words]
        try:
            os.write(keyboard, f"{answer}\n".encode())
            return subprocess.run(command, env=environ, stdin=terminal, timeout=60, check=False).returncode
        finally:
            os.close(keyboard)
            os.close(terminal)

    def left(self) -> int:
        lines = [line.split() for line in self.hpctl("list").stdout.splitlines()]
        return next(int(line[1]) for line in lines if line[0] == self.dead)


@pytest.fixture
async def letters(kafka) -> Letters:
    letters = Letters(kafka.bootstrap_servers, kafka.port)
    await letters.create()
    return letters


async def test_listed_and_shown_without_the_message_unless_asked(letters):
    assert letters.hpctl("show", letters.dead).stdout.split() == f"there is no message in {letters.dead}".split()
    await letters.bury(b"a key", SECRET)
    assert letters.left() == 1
    shown = letters.hpctl("show", letters.dead)
    assert shown.returncode == 0, shown.stderr
    assert "dead-letter-reason: bad" in shown.stdout
    assert "Canary" not in shown.stdout + shown.stderr
    assert "a key" not in shown.stdout
    assert "Canary Person" in letters.hpctl("show", letters.dead, "--body").stdout


async def test_replay_returns_the_exact_bytes_to_the_group_that_failed(letters):
    await letters.bury(b"k", b"\x00\xffbytes")
    await letters.bury(b"l", b"second")
    done = letters.hpctl("replay", letters.dead, "--count", "1")
    assert done.returncode == 0, done.stderr
    assert letters.left() == 1
    again = (await letters.read(letters.topic, 3))[2]
    assert (again.key, again.value) == (b"k", b"\x00\xffbytes")
    assert dict(again.headers) == {"type": b"thing", "replay-group": b"readers"}


async def test_replay_never_leaves_the_past_as_the_last_word_on_a_key(letters):
    await letters.bury(b"k", b"version 1")
    await letters.send(letters.topic, b"k", b"version 2", type="newer")
    await letters.send(letters.topic, b"other", b"version 3")
    assert letters.hpctl("replay", letters.dead).returncode == 0
    values = [record.value for record in await letters.read(letters.topic, 5)]
    assert values[3:] == [b"version 1", b"version 2"]


async def test_a_tombstone_stays_the_last_word(letters):
    await letters.bury(b"k", b"version 1")
    await letters.send(letters.topic, b"k", None)
    assert letters.hpctl("replay", letters.dead).returncode == 0
    assert [record.value for record in await letters.read(letters.topic, 4)][2:] == [b"version 1", None]


async def test_discard_deletes_the_oldest(letters):
    for number in range(3):
        await letters.bury(b"k", b"%d" % number)
    assert letters.hpctl("discard", letters.dead, "--count", "2").returncode == 0
    assert letters.left() == 1
    assert [record.value for record in await letters.read(letters.dead, 1)] == [b"2"]


async def test_an_unknown_topic_is_bad_use(letters):
    for topic in (letters.topic, "nothing.dlq"):
        done = letters.hpctl("show", topic)
        assert done.returncode == 2
        assert topic in done.stderr


async def test_at_a_terminal_discarding_asks_first(letters: Letters):
    for key in (b"a", b"b", b"c"):
        await letters.bury(key, SECRET)
    assert letters.typed("n", "discard", letters.dead) == 1
    assert letters.left() == 3
    assert letters.typed("y", "discard", letters.dead, "--count", "1") == 0
    assert letters.left() == 2
    assert letters.typed("n", "discard", letters.dead, "--yes") == 0
    assert letters.left() == 0
