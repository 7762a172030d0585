"""What becomes of each message: handled once, skipped, retried, or put aside."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from chassis import correlation
from chassis.errors import Unavailable
from chassis.received import Received
from chassis.testing import eventually
from chassis.transaction import Transaction
from prometheus_client import REGISTRY


def metric(sample: str, /, **labels: str) -> float:
    return REGISTRY.get_sample_value(sample, labels) or 0.0


@pytest.mark.contract("D01", "E06")
async def test_a_handler_sees_the_event_its_text_key_and_its_headers(world: Any) -> None:
    await world.topics("things")
    seen: list[Received] = []
    subject = "0198c0de-0000-7000-8000-00000000000a"

    async def handle(event: Received, tx: Transaction) -> None:
        seen.append(event)

    value = json.dumps({
        "eventId": "0198c0de-0000-7000-8000-000000000001",
        "type": "thing.happened",
        "occurredAt": "2025-05-20T10:15:30.123Z",
        "data": {"name": "Zoë", "subject": subject},
    })  # fmt: skip
    await world.send("things", value.encode(), key=subject.encode(), headers=[("request-id", b"r-1")])
    async with world.consuming({"things": handle}):
        await eventually(lambda: seen)
    assert seen == [
        Received(
            event_id=UUID("0198c0de-0000-7000-8000-000000000001"),
            type="thing.happened",
            topic="things",
            key=subject,
            occurred_at=datetime(2025, 5, 20, 10, 15, 30, 123000, UTC),
            data={"name": "Zoë", "subject": subject},
            headers={"request-id": "r-1"},
        )
    ]


@pytest.mark.contract("O14")
async def test_the_ids_of_the_request_travel_into_the_handler(world: Any) -> None:
    await world.topics("things")
    seen: list[correlation.Ids] = []

    async def handle(event: Received, tx: Transaction) -> None:
        seen.append(correlation.current())

    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    await world.send("things", world.message(1), headers=[("request-id", b"r-42"), ("traceparent", trace.encode())])
    async with world.consuming({"things": handle}):
        await eventually(lambda: seen)
    assert (seen[0].request_id, seen[0].trace_id) == ("r-42", "a" * 32)


@pytest.mark.contract("E05")
async def test_fields_it_does_not_know_are_ignored(world: Any) -> None:
    await world.topics("things")
    await world.send("things", world.message(1, schemaVersion=7, data={"number": 1, "colour": "blue"}))
    async with world.consuming({"things": world.write}):
        await eventually(world.wrote([1]))


async def test_several_topics_share_one_member_and_each_has_its_handler(world: Any) -> None:
    await world.topics("things", "others")
    calls: list[tuple[str, str]] = []

    async def on_thing(event: Received, tx: Transaction) -> None:
        calls.append(("thing", event.topic))

    async def on_other(event: Received, tx: Transaction) -> None:
        calls.append(("other", event.topic))

    await world.send("things", world.message(1))
    await world.send("others", world.message(2))
    async with world.consuming({"things": on_thing, "others": on_other}):
        await eventually(lambda: sorted(calls) == [("other", "others"), ("thing", "things")])


@pytest.mark.contract("D02")
async def test_the_offset_moves_only_after_the_commit_and_its_callbacks(world: Any) -> None:
    await world.topics("things")
    in_callback, gate = asyncio.Event(), asyncio.Event()

    async def handle(event: Received, tx: Transaction) -> None:
        await world.write(event, tx)

        async def after_commit() -> None:
            in_callback.set()
            await gate.wait()

        if event.data["number"] == 2:
            tx.after_commit(after_commit)

    async def committed(offset: int) -> bool:
        return await world.committed("things") == offset

    await world.send("things", world.message(1), world.message(2), world.message(3))
    async with world.consuming({"things": handle}):
        await in_callback.wait()
        await eventually(lambda: committed(1))
        assert await world.effects() == [1, 2]
        assert await committed(1), "an offset ran ahead of its message"
        gate.set()
        await eventually(lambda: committed(3))
    assert await world.effects() == [1, 2, 3]


async def test_other_messages_take_no_offset_along_that_is_not_done(world: Any) -> None:
    await world.topics("things", partitions=2)

    async def handle(event: Received, tx: Transaction) -> None:
        if event.data["number"] == 2:
            raise Unavailable("redis")
        await world.write(event, tx)

    await world.send("things", world.message(1), world.message(2), partition=0)
    await world.send("things", *[world.message(number) for number in range(10, 20)], partition=1)

    async def others_done() -> bool:
        return await world.committed("things", partition=1) == 10

    async with world.consuming({"things": handle}):
        await eventually(others_done)
    assert await world.committed("things") == 1


async def test_a_callback_that_fails_repeats_the_message(world: Any) -> None:
    await world.topics("things")
    evictions: list[int] = []

    async def handle(event: Received, tx: Transaction) -> None:
        async def evict() -> None:
            evictions.append(event.data["number"])
            if len(evictions) < 3:
                raise ConnectionError("the cache is down")

        tx.after_commit(evict)

    await world.send("things", world.message(1), world.message(2))
    async with world.consuming({"things": handle}):
        await eventually(lambda: evictions == [1, 1, 1, 2])
    assert await world.dead_letters("things") == []


@pytest.mark.contract("D16")
async def test_a_null_value_is_nothing(world: Any) -> None:
    await world.topics("things")
    await world.send("things", None, world.message(1))
    async with world.consuming({"things": world.write}):
        await eventually(world.wrote([1]))
    assert await world.dead_letters("things") == []


async def test_the_inbox_lets_each_event_take_effect_once(world: Any) -> None:
    await world.topics("things")
    await world.send("things", *[world.message(number) for number in (1, 2, 1, 3, 2)])
    async with world.consuming({"things": world.write}, inbox=True):
        await eventually(world.wrote([1, 2, 3]))
        await eventually(
            lambda: metric("consumer_messages_total", group="group", topic="things", result="duplicate") >= 2
        )


async def test_a_failing_message_holds_up_only_its_own_partition(world: Any) -> None:
    await world.topics("things", partitions=2)
    down = True

    async def handle(event: Received, tx: Transaction) -> None:
        if event.data["number"] == 1 and down:
            raise Unavailable("billing")
        await world.write(event, tx)

    await world.send("things", world.message(1), world.message(2), partition=0)
    await world.send("things", *[world.message(number) for number in range(10, 30)], partition=1)
    async with world.consuming({"things": handle}):
        await eventually(world.wrote(range(10, 30)))
        down = False
        await eventually(world.wrote([*range(10, 30), 1, 2]))
    assert await world.dead_letters("things") == []


async def test_the_metrics_count_results_retries_dead_letters_lag_and_age(world: Any) -> None:
    await world.topics("measured")
    down = True

    async def handle(event: Received, tx: Transaction) -> None:
        if down:
            raise Unavailable("billing")

    labels = {"group": "group", "topic": "measured"}
    await world.send("measured", world.message(1), b"poison")
    async with world.consuming({"measured": handle}):
        await eventually(lambda: metric("consumer_lag", **labels, partition="0") == 2)
        await eventually(lambda: metric("consumer_retries_total", **labels, reason="world") >= 1)
        down = False
        await eventually(lambda: metric("consumer_messages_total", **labels, result="dead-lettered") == 1)
        await eventually(lambda: metric("consumer_lag", **labels, partition="0") == 0)
    assert metric("consumer_messages_total", **labels, result="handled") == 1
    assert metric("consumer_dead_letters_total", **labels) == 1
    assert metric("projection_age_seconds_count", **labels) == 1
    assert 0 < metric("projection_age_seconds_sum", **labels) < 60


@pytest.mark.contract("Z03")
async def test_a_topic_is_not_subscribed_to_without_a_contract(world: Any) -> None:
    with pytest.raises(ValueError, match="others"):
        world.consumer().subscribe({"things": world.write, "others": world.write}, [world.terms("things")])
