"""Waiting for the world: never for longer than 3 s, and never after another part has found it back."""

import asyncio
import time

import pytest
from chassis import heldback, recovery
from chassis.recovery import LONGEST_SECONDS, Recovery, delay
from chassis.retries import Backoff

pytestmark = pytest.mark.contract("Z01")


def test_no_wait_exceeds_three_seconds() -> None:
    waits = [delay(failures) for failures in range(1, 200)] + [Backoff().delay(tries) for tries in range(1, 200)]
    assert 0 < min(waits) <= max(waits) <= LONGEST_SECONDS == 3
    assert heldback.LONGEST_SECONDS <= 3


async def test_the_first_part_that_works_again_wakes_all_others() -> None:
    world, called = Recovery(), list[str]()
    world.failed("relay")
    world.failed("consumer")
    world.call_later(60, lambda: called.append("consumer"))
    asleep = asyncio.create_task(world.sleep(60))
    await asyncio.sleep(0)
    world.succeeded("http")  # it had not failed: its success says nothing
    assert (called, asleep.done()) == ([], False)
    world.succeeded("relay")
    assert called == ["consumer"]
    await asyncio.wait_for(asleep, 1)


async def test_a_part_that_comes_and_goes_makes_no_busy_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "WAKES_APART_SECONDS", 60.0)
    world, wakes = Recovery(), 0

    def wake() -> None:
        nonlocal wakes
        wakes += 1
        world.call_later(60, wake)

    world.call_later(60, wake)
    for _ in range(100):
        world.failed("redis")
        world.succeeded("redis")
    assert wakes == 1


async def test_a_wait_that_nobody_ends_is_over_in_time() -> None:
    world, began = Recovery(), time.monotonic()
    await world.sleep(0.05)
    assert time.monotonic() - began >= 0.05
    assert world.waits == set()
