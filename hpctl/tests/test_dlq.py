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
from chassis.testing.batches import Batch, place

SECRET = b'{"name":"Canary Person"}'


class Letters:
    """A topic, its dead-letter topic, and the command line."""

    def __init__(self, servers: str, port: int) -> None:
        self.servers = servers
        self.port = port
        self.topic = f"things-{uuid.uuid4().hex[:8]}"
        self.group = f"readers-{uuid.uuid4().hex[:8]}"
        self.dead = f"{self.topic}.{self.group}.dlq"
        self.replays = f"{self.group}.replay"

    async def create(self, *names: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        await admin.start()
        await admin.create_topics([NewTopic(name, 1, 1) for name in names])
        await admin.close()

    async def send(self, topic: str, key: bytes, value: bytes | None, **headers: str) -> int:
        async with AIOKafkaProducer(bootstrap_servers=self.servers) as producer:
            pairs = [(name.replace("_", "-"), text.encode()) for name, text in headers.items()]
            return (await producer.send_and_wait(topic, value, key=key, headers=pairs)).offset

    async def bury_strangely(self, key: bytes, value: bytes) -> None:
        """As only a client that is not ours writes: the header's name is no UTF-8."""
        name = b"\xff\x1b]0;is owned\x07"
        async with AIOKafkaProducer(bootstrap_servers=self.servers) as producer:
            batch = Batch([(key, value, [(place(name), b"v")])], name=name, packed="gzip")
            await (await producer.send_batch(batch, self.dead, partition=0))

    async def bury(self, key: bytes, value: bytes) -> None:
        """Write a message, and its dead letter as a consumer does."""
        offset = await self.send(self.topic, key, value, type="thing")
        facts = {"topic": self.topic, "partition": "0", "offset": str(offset), "group": self.group, "reason": "bad"}
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
    await letters.create(letters.topic, letters.dead, letters.replays)
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
    [again] = await letters.read(letters.replays, 1)
    assert (again.key, again.value) == (b"k", b"\x00\xffbytes")
    assert again.headers == (("type", b"thing"), ("replay-source", letters.topic.encode()))


async def test_a_replay_adds_nothing_to_the_topic_that_the_letter_came_from(letters):
    """So that a newer message, or the null value of a deletion, stays the last word on its key."""
    await letters.bury(b"k", b"version 1")
    await letters.send(letters.topic, b"k", b"version 2", type="newer")
    await letters.send(letters.topic, b"k", None)
    assert letters.hpctl("replay", letters.dead).returncode == 0
    end = await letters.send(letters.topic, b"other", b"the next")
    assert end == 3
    assert [record.value for record in await letters.read(letters.topic, 4)] == [
        b"version 1", b"version 2", None, b"the next",
    ]  # fmt: skip


FORGED = [
    {"topic": "elsewhere", "partition": "-1", "offset": "many", "group": "others", "time": "yesterday"},
    {"topic": "auth.audit", "partition": "0", "offset": "9" * 400, "group": "", "time": "\x1b]0;owned\x07"},
    {"partition": "٣", "offset": "1e3", "reason": "\x1b[2J\x07" + "r" * 5000},
    {},
]


@pytest.mark.contract("Z03")
async def test_what_a_letters_headers_say_decides_nothing_and_holds_nobody_up(letters):
    for facts in FORGED:
        await letters.send(letters.dead, b"k", b"v", **{f"dead_letter_{name}": text for name, text in facts.items()})
    await letters.bury_strangely(b"k", b"v")
    await letters.bury(b"k", b"the good one")
    shown = letters.hpctl("show", letters.dead, "--body")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count(": not readable") == 7
    assert "\x1b" not in shown.stdout
    assert "\x07" not in shown.stdout
    assert "r" * 1001 not in shown.stdout.replace("\n", "")
    done = letters.hpctl("replay", letters.dead)
    assert (done.returncode, done.stdout) == (0, f"replayed 6 of {letters.dead}\n"), done.stderr
    again = await letters.read(letters.replays, 6)
    assert [record.value for record in again] == [b"v"] * 5 + [b"the good one"]
    assert {dict(record.headers)["replay-source"] for record in again} == {letters.topic.encode()}


async def test_letters_stay_where_they_are_while_their_group_has_no_topic_of_replays(letters):
    other = f"{letters.topic}.nobody.dlq"
    await letters.create(other)
    await letters.send(other, b"k", b"v")
    done = letters.hpctl("replay", other)
    assert done.returncode == 2
    assert "nobody.replay" in done.stderr
    assert [record.value for record in await letters.read(other, 1)] == [b"v"]


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
