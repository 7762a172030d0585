"""Retry, bulkhead and deadline: their defaults and what the metrics say."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count, pairwise

import pytest
from chassis.errors import NotFound, Unavailable
from chassis.resilience import Bulkhead, Rejected, Retry, deadline
from prometheus_client import REGISTRY

names = (f"bulkhead-{number}" for number in count())


def metric(sample: str, /, **labels: str) -> float:
    return REGISTRY.get_sample_value(sample, labels) or 0.0


@pytest.mark.contract("E10")
async def test_a_full_bulkhead_rejects_at_once() -> None:
    name = next(names)
    bulkhead, gate = Bulkhead(name, limit=2), asyncio.Event()

    async def hold() -> None:
        async with bulkhead:
            await gate.wait()

    held = [asyncio.create_task(hold()) for _ in range(2)]
    await asyncio.sleep(0)
    assert metric("bulkhead_in_use", name=name) == 2
    began = asyncio.get_running_loop().time()
    with pytest.raises(Rejected):
        async with bulkhead:
            pytest.fail("a third call came in")
    assert asyncio.get_running_loop().time() - began < 0.05
    assert metric("bulkhead_rejected_total", name=name) == 1
    gate.set()
    await asyncio.gather(*held)
    async with bulkhead:
        assert metric("bulkhead_in_use", name=name) == 1
    assert metric("bulkhead_in_use", name=name) == 0


def flaky(failures: int, error: Exception) -> tuple[Callable[[], Awaitable[str]], list[float]]:
    times: list[float] = []

    async def call() -> str:
        times.append(asyncio.get_running_loop().time())
        if len(times) <= failures:
            raise error
        return "done"

    return call, times


@pytest.mark.contract("E08")
async def test_two_retries_half_a_second_apart() -> None:
    call, times = flaky(2, Unavailable("billing"))
    assert await Retry()(call) == "done"
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == 3
    assert all(0.48 <= gap <= 0.75 for gap in gaps), gaps


@pytest.mark.contract("E08")
async def test_the_third_failure_is_final() -> None:
    call, times = flaky(9, Unavailable("billing"))
    with pytest.raises(Unavailable):
        await Retry(wait=0.01)(call)
    assert len(times) == 3


@pytest.mark.parametrize("error", [NotFound("patient"), Rejected("billing")])
async def test_what_another_try_cannot_help_is_not_tried_again(error: Exception) -> None:
    call, times = flaky(1, error)
    with pytest.raises(type(error)):
        await Retry(wait=0.01)(call)
    assert len(times) == 1


@pytest.mark.contract("E10")
async def test_a_deadline_ends_what_takes_too_long() -> None:
    with pytest.raises(Unavailable):
        async with deadline("billing", 0.02):
            await asyncio.Event().wait()


async def test_a_timeout_from_inside_is_not_the_deadlines() -> None:
    with pytest.raises(TimeoutError):
        async with deadline("billing", 5):
            raise TimeoutError
