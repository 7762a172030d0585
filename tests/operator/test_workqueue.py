"""Who is worked on next, and by how many at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from healthcare_operator.workqueue import Key, WorkQueue

PLATFORMS = [("here", f"platform-{number}") for number in range(30)]
EDITED = ("here", "edited")


@asynccontextmanager
async def working(queue: WorkQueue) -> AsyncIterator[None]:
    runner = asyncio.create_task(queue.run())
    try:
        async with asyncio.timeout(30):
            yield
    finally:
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)


async def test_a_platform_is_worked_on_by_one_worker_and_wishes_are_joined() -> None:
    passes, running, most = 0, 0, 0
    enough = asyncio.Event()

    async def work(_: tuple[str, str]) -> float:
        nonlocal passes, running, most
        running += 1
        most = max(most, running)
        for _turn in range(5):
            await asyncio.sleep(0)
            queue.add(("here", "care"))
        running -= 1
        passes += 1
        if passes == 3:
            enough.set()
        return 60.0

    queue = WorkQueue(work, 4)
    for _ in range(10):
        queue.add(("here", "care"))
    async with working(queue):
        await enough.wait()
    assert most == 1
    assert passes == 3


async def order(workers: int) -> list[Key]:
    """Thirty platforms are due for another look, and then one is edited: in which order they are worked on."""
    seen: list[Key] = []
    all_of_them = asyncio.Event()

    async def work(key: Key) -> float:
        seen.append(key)
        await asyncio.sleep(0)
        if len(seen) == len(PLATFORMS) + 1:
            all_of_them.set()
        return 60.0

    queue = WorkQueue(work, workers)
    for key in PLATFORMS:
        queue.add(key, -1.0)  # overdue
    queue.add(EDITED, urgent=True)
    async with working(queue):
        await all_of_them.wait()
    return seen


@pytest.mark.parametrize("workers", [1, 2, 4])
async def test_an_edit_does_not_wait_for_those_that_are_looked_at_again(workers: int) -> None:
    seen = await order(workers)
    assert EDITED in seen[:workers]
    assert sorted(seen) == sorted([*PLATFORMS, EDITED])


async def test_what_is_due_longest_has_its_turn_however_much_is_urgent() -> None:
    """One worker of several sees to it: a platform that is edited without rest must not hold up all others."""
    asked: list[Key] = [("here", f"busy-{number}") for number in range(10)]
    turned = asyncio.Event()

    async def work(key: Key) -> float:
        await asyncio.sleep(0)
        queue.add(key, urgent=True) if key in asked else turned.set()
        return 60.0

    queue = WorkQueue(work, 4)
    for key in asked:
        queue.add(key, urgent=True)
    queue.add(EDITED, -1.0)
    async with working(queue):
        await turned.wait()


async def test_who_begins_to_work_begins_with_what_was_asked_for_last() -> None:
    """While nobody leads wishes gather, and the newest of them is the one that somebody waits for."""
    seen: list[Key] = []
    enough = asyncio.Event()

    async def work(key: Key) -> float:
        seen.append(key)
        if len(seen) == len(PLATFORMS):
            enough.set()
        return 60.0

    queue = WorkQueue(work, 1)
    for key in PLATFORMS:
        queue.add(key)
    queue.add(PLATFORMS[7])
    assert queue.age == 0.0, "nobody is late who has nothing to do"
    async with working(queue):
        await enough.wait()
    assert seen[:3] == [PLATFORMS[7], PLATFORMS[-1], PLATFORMS[-2]]


async def test_what_was_being_worked_on_when_the_work_stopped_is_worked_on_again() -> None:
    begun, again = asyncio.Event(), asyncio.Event()

    async def work(_: Key) -> float:
        if begun.is_set():
            again.set()
            return 60.0
        begun.set()
        await asyncio.Event().wait()
        return 60.0

    queue = WorkQueue(work, 1)
    queue.add(EDITED)
    async with working(queue):
        await begun.wait()
    async with working(queue):
        await again.wait()
