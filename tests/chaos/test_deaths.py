"""Processes die at the very moment at which an event, or an offset, could be lost."""

import asyncio
import os
import re
import signal
from collections.abc import Iterable

import pytest
from chassis.testing import eventually

from tests.chaos.gate import Gate, closed
from tests.chaos.platform import Platform

ATTEMPTS = 4
CONSUMERS = {"appointment-service": 4006, "analytics-service": 4002}


@pytest.mark.contract("D02", "D03", "P10")
async def test_patient_service_killed_between_commit_and_publish(platform: Platform) -> None:
    """Each write is answered, so it is committed; the broker has stopped, so nothing is published; then the service
    dies. Its successor sends what the outbox holds."""
    with platform.frozen("kafka"):
        await asyncio.gather(*(platform.write(10, must=True) for _ in range(4)))
        waiting = await platform.query("patient_service", "SELECT count(*) AS n FROM outbox")
        assert waiting[0]["n"] >= 40
        platform.kill("patient-service")
        await platform.up(4000)
    await platform.settled(within=90)


@pytest.mark.contract("D02", "P10")
async def test_patient_service_killed_at_any_moment(platform: Platform) -> None:
    writing = asyncio.gather(*(platform.write(60) for _ in range(4)))
    for _ in range(3):
        await asyncio.sleep(0.4 + platform.dice.random())
        platform.kill("patient-service")
    await writing
    await platform.up(4000)
    await platform.settled()


@pytest.mark.contract("Q15", "D02", "D03")
async def test_consumers_killed_between_commit_and_offset(platform: Platform) -> None:
    """Both consumers hold a message, and wait to write. The broker dies, they commit, no offset can be; they die too.
    The message comes again, and changes nothing."""
    for _ in range(ATTEMPTS):
        await platform.write(5, must=True)
        await platform.settled()
        if await died_between(platform):
            break
        await platform.up(*CONSUMERS.values())
    else:
        pytest.fail("none of the attempts came between a commit and its offset")
    await platform.up(*CONSUMERS.values())
    await eventually(lambda: both_came_again(platform), within=120, every=0.3)
    await platform.settled(within=90)


async def died_between(platform: Platform) -> bool:
    """Whether both had committed when they died: who waits for long gives up (DATABASE_TIMEOUT_SECONDS)."""
    before = await effects(platform)
    async with (
        closed(platform, "appointment_service", "cached_patient", "INSERT OR UPDATE") as projection,
        closed(platform, "analytics_service", "event_count", "INSERT OR UPDATE") as counters,
    ):
        gates = (projection, counters)
        with platform.unsupervised("kafka", *CONSUMERS) as (broker, *consumers):  # a broker that is back takes offsets
            await platform.write(1, must=True)
            await eventually(lambda: all_just_came(gates), within=60, every=0.05)
            os.kill(broker, signal.SIGKILL)
            await asyncio.gather(*(gate.open() for gate in gates))
            for gate in gates:
                await eventually(gate.passed, within=30, every=0.02)
            for pid in consumers:
                os.kill(pid, signal.SIGKILL)
            return all(now > then for now, then in zip(await effects(platform), before, strict=True))


async def effects(platform: Platform) -> tuple[int, int]:
    """Two numbers that grow with what is projected, and with what is counted."""
    projected = sum(version for _, _, version in await platform.projection(deleted=True))
    return projected, sum((await platform.counted()).values())


async def all_just_came(gates: Iterable[Gate]) -> bool:
    """So that they have time left to commit in."""
    return all([await gate.waiting(under=2) for gate in gates])


async def both_came_again(platform: Platform) -> bool:
    """Nothing was written since the processes began: what they have handled, they got again."""
    assert await handled(platform, "appointment-service", "appointments-cg", "handled"), "the projection got nothing"
    assert await handled(platform, "analytics-service", "analytics-service", "duplicate"), "the counters got nothing"
    return True


async def handled(platform: Platform, service: str, group: str, result: str) -> float:
    """Messages since the process began, of whatever topic: it may have been any that waited at the gate."""
    async with platform.client(CONSUMERS[service]) as client:
        text = (await client.get("/actuator/prometheus")).text
    series = re.compile(rf'consumer_messages_total{{group="{group}",result="{result}",topic="[^"]+"}} (\S+)')
    return sum(float(value) for value in series.findall(text))


@pytest.mark.contract("Q15", "D02")
async def test_consumers_killed_at_any_moment(platform: Platform) -> None:
    writing = asyncio.gather(*(platform.write(60, must=True) for _ in range(4)))
    for _ in range(2):
        await asyncio.sleep(0.3 + platform.dice.random())
        platform.kill(*CONSUMERS)
    await writing
    await platform.up(*CONSUMERS.values())
    await platform.settled(within=90)
