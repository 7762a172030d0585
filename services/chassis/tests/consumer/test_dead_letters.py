"""Dead letters: what can never be handled is put aside whole, and the rest goes on."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chassis.deadletterlog import DeadLetterLog
from chassis.errors import Conflict
from chassis.received import Received
from chassis.security import kafka_client
from chassis.testing import eventually
from chassis.transaction import Transaction
from prometheus_client import REGISTRY
from pydantic import BaseModel


@pytest.mark.contract("E11")
async def test_one_poison_message_in_the_middle_blocks_nothing_and_arrives_whole(world: Any) -> None:
    await world.topics("things")
    poison = b'\xff\x00 not json \xfe {"name": "Jane Canary"}'
    for number in range(100):
        if number == 50:
            await world.send(
                "things", poison, key=b"\xf0key", headers=[("x", b"\xff\x00"), ("x", b"again"), ("type", b"t")]
            )
        await world.producer.send(world.prefix + "things", world.message(number), key=b"key")
    await world.producer.flush()
    async with world.consuming({"things": world.write}):
        await eventually(world.wrote(range(100)))
        [letter] = await world.dead_letters("things")
    assert (letter.key, letter.value) == (b"\xf0key", poison)
    assert letter.headers[:3] == (("x", b"\xff\x00"), ("x", b"again"), ("type", b"t"))
    told = {name.removeprefix("dead-letter-"): value.decode() for name, value in letter.headers[3:]}
    assert told.keys() == {"exception", "reason", "topic", "partition", "offset", "group", "time"}
    assert told["exception"] == "Poison"
    assert told["reason"] == "the value is not JSON"
    assert (told["topic"], told["partition"], told["offset"]) == (world.prefix + "things", "0", "50")
    assert told["group"] == "group"
    assert datetime.now(UTC) - datetime.fromisoformat(told["time"]) < timedelta(minutes=1)


@pytest.mark.contract("E11")
@pytest.mark.parametrize(
    "value",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"eventId": 1}',
        b'{"eventId":"no","type":"t","occurredAt":"2025-05-20T10:15:30Z","data":{}}',
        b'{"eventId":"0198c0de-0000-7000-8000-000000000001","occurredAt":"2025-05-20T10:15:30Z","data":{}}',
        b'{"eventId":"0198c0de-0000-7000-8000-000000000001","type":"t","occurredAt":"yesterday","data":{}}',
        b'{"eventId":"0198c0de-0000-7000-8000-000000000001","type":"t","occurredAt":"2025-05-20T10:15:30","data":{}}',
        b'{"eventId":"0198c0de-0000-7000-8000-000000000001","type":"t","occurredAt":"2025-05-20T10:15:30Z"}',
        b'{"eventId":"0198c0de-0000-7000-8000-000000000001","type":"t","occurredAt":"2025-05-20T10:15:30Z","data":[]}',
    ],
)  # fmt: skip
async def test_what_is_no_event_is_dead_lettered_at_once(world: Any, value: bytes) -> None:
    await world.topics("things")
    await world.send("things", value, world.message(1))
    async with world.consuming({"things": world.write}):
        await eventually(world.wrote([1]))
        [letter] = await world.dead_letters("things")
    assert letter.value == value


@pytest.mark.contract("E11")
async def test_a_large_poison_message_arrives_whole(world: Any) -> None:
    await world.topics("things")
    poison = b"x" * 1_048_400  # with its envelope the most that a topic takes by default
    await world.send("things", poison, world.message(1))
    async with world.consuming({"things": world.write}):
        await eventually(world.wrote([1]))
        [letter] = await world.dead_letters("things")
    assert letter.value == poison


@pytest.mark.contract("D16")
async def test_dead_letters_are_kept_14_days(world: Any) -> None:
    await world.topics("things")
    async with world.consuming({"things": world.write}) as consumer:
        await eventually(lambda: consumer._kafka)
        assert await world.retention("things.group.dlq") == timedelta(days=14)


async def test_data_of_the_wrong_shape_is_dead_lettered_without_quoting_it(world: Any) -> None:
    await world.topics("things")

    class Thing(BaseModel):
        number: int

    async def handle(event: Received, tx: Transaction) -> None:
        Thing.model_validate(event.data)

    await world.send("things", world.message(1, data={"number": "Jane Canary"}))
    async with world.consuming({"things": handle}):
        letter = await eventually(lambda: first(world.dead_letters("things")))
    reason = dict(letter.headers)["dead-letter-reason"].decode()
    assert reason == "number: int_parsing"


async def first(letters: Any) -> Any:
    found = await letters
    return found[0] if found else None


@pytest.mark.contract("E11")
async def test_a_message_that_breaks_a_rule_is_tried_a_few_times_then_put_aside(world: Any) -> None:
    await world.topics("things")
    tries: list[int] = []

    async def handle(event: Received, tx: Transaction) -> None:
        await world.write(event, tx)
        tries.append(event.data["number"])
        if event.data["number"] == 1:
            raise Conflict("Jane Canary is taken", "name")

    await world.send("things", world.message(1), world.message(2))
    async with world.consuming({"things": handle}):
        await eventually(world.wrote([2]))
        [letter] = await world.dead_letters("things")
    assert tries == [1] * 5 + [2]
    assert b"Canary" not in b"".join(value for name, value in letter.headers)


@pytest.mark.contract("Z01")
async def test_a_bug_holds_the_group_up_once_and_a_replay_gives_everything_back(world: Any) -> None:
    """A place of failure is waited for once; messages that meet it later are put aside at once."""
    await world.topics("things")
    repaired, tries = False, list[int]()

    async def handle(event: Received, tx: Transaction) -> None:
        number = event.data["number"]
        tries.append(number)
        if number % 2 and not repaired:
            event.data["what is not there"]
        await world.write(event, tx)

    await world.send("things", *(world.message(number) for number in range(1, 7)))
    async with world.consuming({"things": handle}) as consumer:
        began = time.monotonic()
        await eventually(lambda: tries.count(1) > 1)
        assert not (await consumer.health()).up
        await eventually(world.wrote([2, 4, 6]))
        assert time.monotonic() - began > 0.5, "it did not wait for a repair"
        assert (tries.count(3), tries.count(5)) == (1, 1), "it waited again"
        labels = {"group": "group", "topic": "things", "reason": "bug"}
        assert REGISTRY.get_sample_value("consumer_retries_total", labels) >= 1
        letters = await world.dead_letters("things")
        assert [dict(letter.headers)["dead-letter-exception"] for letter in letters] == [b"KeyError"] * 3
        repaired = True
        log = DeadLetterLog(kafka_client(world.settings), consumer.dead_letter_topics)
        assert await log.replay(f"{world.prefix}things.group.dlq") == 3
        await eventually(world.wrote([2, 4, 6, 1, 3, 5]))


@pytest.mark.contract("Z01")
async def test_a_bug_that_is_repaired_in_time_costs_nothing(world: Any) -> None:
    await world.topics("things")
    broken = True

    async def handle(event: Received, tx: Transaction) -> None:
        await (tx.execute_sql("SELECT * FROM a_table_that_a_migration_makes") if broken else world.write(event, tx))

    await world.send("things", *(world.message(number) for number in range(3)))
    world.settings.consumer_repair_seconds = 60
    async with world.consuming({"things": handle}) as consumer:
        await eventually(consumer._retries.waiting)
        broken = False
        await eventually(world.wrote(range(3)))
    assert await world.dead_letters("things") == []


@pytest.mark.contract("Z01")
@pytest.mark.parametrize("code", ["25006", "28P01", "28000", "55000", "42501", "53100", "57P03", "40P01", "XX000"])
async def test_an_error_of_the_server_never_counts_against_a_message(world: Any, code: str) -> None:
    """More often than a message of its own fault would be tried."""
    await world.topics("things")
    tries = 0
    raises = f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"

    async def handle(event: Received, tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        if tries <= 8:
            await tx.execute_sql(raises)
        await world.write(event, tx)

    await world.send("things", world.message(1))
    async with world.consuming({"things": handle}):
        await eventually(world.wrote([1]))
    assert await world.dead_letters("things") == []


async def test_a_dead_letter_that_cannot_be_sent_is_never_dropped(world: Any, kafka: Any) -> None:
    await world.topics("things")
    refuses = 3

    class Producer:
        async def send(self, *arguments: Any, **options: Any) -> object:
            nonlocal refuses
            refuses -= 1
            if refuses >= 0:
                raise ConnectionError("no broker")
            return await world.dead_letter_producer.send(*arguments, **options)

    await world.send("things", b"poison", world.message(1))
    consumer = world.consumer()
    consumer._dead_letters._producer = Producer()
    consumer.subscribe({"things": world.write}, [world.terms("things")])
    await consumer.start()
    try:
        await eventually(world.wrote([1]))
    finally:
        await consumer.stop()
    assert [letter.value for letter in await world.dead_letters("things")] == [b"poison"]


async def test_what_the_release_before_replayed_concerns_the_group_that_it_names(world: Any) -> None:
    """It wrote a letter back into the topic that it came from, where every group reads it."""
    await world.topics("things")
    for group in (b"another", b"group"):
        await world.send("things", b"poison for " + group, headers=[("replay-group", group)])
    await world.send("things", world.message(1), headers=[("replay-group", b"another")])
    async with world.consuming({"things": world.write}):
        await eventually(world.wrote([1]))
    assert [letter.value for letter in await world.dead_letters("things")] == [b"poison for group"]


@pytest.mark.contract("Z03")
async def test_a_replayed_letter_is_handled_as_one_of_the_topic_that_it_came_from_and_no_other(world: Any) -> None:
    await world.topics("things", "group.replay")
    own, elsewhere = f"{world.prefix}things".encode(), f"{world.prefix}others".encode()
    for source in (elsewhere, own.removeprefix(world.prefix.encode()), b"\xff", b"", None):
        headers = [("replay-source", source)] if source is not None else []
        await world.send("group.replay", world.message(1), headers=headers)
    await world.send("group.replay", world.message(2), headers=[("replay-source", own)])
    await world.send("group.replay", b"poison still", headers=[("a", b"b"), ("replay-source", own)])
    seen: list[str] = []

    async def handle(event: Received, tx: Transaction) -> None:
        seen.append(event.topic)
        await world.write(event, tx)

    async with world.consuming({"things": handle}):
        await eventually(world.wrote([2]))
        letter = await eventually(lambda: first(world.dead_letters("things")))
        refused = await world.dead_letters("group.replay")
    assert seen == ["things"]
    assert (letter.value, letter.headers[0], dict(letter.headers).get("replay-source")) == (
        b"poison still", ("a", b"b"), None,
    )  # fmt: skip
    assert len(refused) == 5
