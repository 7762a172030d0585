"""The breaker: its defaults, its transitions and what its metrics say."""

import asyncio
from itertools import count

import pytest
from chassis.errors import Busy, NotFound, PlatformError, TooManyRequests
from chassis.resilience import Breaker, Rejected, State
from prometheus_client import REGISTRY

names = (f"breaker-{number}" for number in count())


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def metric(sample: str, /, **labels: str) -> float:
    return REGISTRY.get_sample_value(sample, labels) or 0.0


async def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(ConnectionError):
            async with breaker:
                raise ConnectionError


async def succeed(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        async with breaker:
            pass


@pytest.mark.contract("E07", "E08")
async def test_five_calls_half_of_them_failed_open_the_breaker_for_ten_seconds() -> None:
    clock = Clock()
    breaker = Breaker(next(names), clock=clock)
    await succeed(breaker, 2)
    await fail(breaker, 2)
    assert breaker.state is State.CLOSED, "four calls are too few to judge"
    await fail(breaker)
    assert breaker.state is State.OPEN
    with pytest.raises(Rejected):
        await succeed(breaker)
    clock.now += 9.9
    with pytest.raises(Rejected):
        await succeed(breaker)
    clock.now += 0.1
    await succeed(breaker)
    assert breaker.state is State.HALF_OPEN


@pytest.mark.contract("E08")
async def test_only_the_last_ten_calls_are_judged() -> None:
    breaker = Breaker(next(names))
    await succeed(breaker, 100)
    await fail(breaker, 4)
    assert breaker.state is State.CLOSED, "four of the last ten"
    await fail(breaker)
    assert breaker.state is State.OPEN, "five of the last ten"


async def opened(clock: Clock) -> Breaker:
    breaker = Breaker(next(names), clock=clock)
    await fail(breaker, 5)
    clock.now += 10
    return breaker


@pytest.mark.contract("E07", "E08")
async def test_three_trial_calls_close_it_again() -> None:
    breaker = await opened(Clock())
    await succeed(breaker, 2)
    assert breaker.state is State.HALF_OPEN
    await succeed(breaker)
    assert breaker.state is State.CLOSED


@pytest.mark.contract("E08")
async def test_failed_trial_calls_open_it_again() -> None:
    breaker = await opened(Clock())
    await succeed(breaker)
    await fail(breaker, 2)
    assert breaker.state is State.OPEN


@pytest.mark.contract("E08")
async def test_a_fourth_call_at_once_is_refused_while_half_open() -> None:
    breaker = await opened(Clock())
    gate = asyncio.Event()

    async def trial() -> None:
        async with breaker:
            await gate.wait()

    trials = [asyncio.create_task(trial()) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Rejected):
        await succeed(breaker)
    gate.set()
    await asyncio.gather(*trials)
    assert breaker.state is State.CLOSED


async def test_a_cancelled_trial_gives_its_place_back() -> None:
    breaker = await opened(Clock())

    async def trial() -> None:
        async with breaker:
            await asyncio.Event().wait()

    trials = [asyncio.create_task(trial()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in trials:
        task.cancel()
    await asyncio.gather(*trials, return_exceptions=True)
    await succeed(breaker, 3)
    assert breaker.state is State.CLOSED


async def test_a_call_that_began_before_the_breaker_opened_does_not_decide_the_trial() -> None:
    clock = Clock()
    breaker = Breaker(next(names), clock=clock)
    early = breaker.admit()
    await fail(breaker, 5)
    clock.now += 10
    await succeed(breaker)
    breaker.settle(early, ConnectionError())
    await succeed(breaker, 2)
    assert breaker.state is State.CLOSED


async def test_an_error_that_is_the_callers_own_does_not_count() -> None:
    breaker = Breaker(next(names), counts=lambda error: not isinstance(error, NotFound))
    for _ in range(20):
        with pytest.raises(NotFound):
            async with breaker:
                raise NotFound("patient")
    assert breaker.state is State.CLOSED


@pytest.mark.contract("Z04")
@pytest.mark.parametrize("refusal", [Busy("hashing", 2), Rejected("its bulkhead"), TooManyRequests(3)])
async def test_a_deliberate_refusal_never_moves_a_breaker(refusal: PlatformError) -> None:
    clock = Clock()
    breaker = Breaker(next(names), clock=clock)

    async def refuse(times: int) -> None:
        for _ in range(times):
            with pytest.raises(type(refusal)):
                async with breaker:
                    raise refusal

    await refuse(50)
    assert breaker.state is State.CLOSED
    await fail(breaker, 5)
    assert breaker.state is State.OPEN
    clock.now += 10
    await refuse(20)  # neither a trial that failed nor one that proves anything
    assert breaker.state is State.HALF_OPEN
    await succeed(breaker, 3)
    assert breaker.state is State.CLOSED


@pytest.mark.contract("E07")
async def test_the_metrics_tell_state_transitions_and_outcomes() -> None:
    clock, name = Clock(), next(names)
    breaker = Breaker(name, clock=clock)
    assert metric("circuit_breaker_state", name=name, state="closed") == 1
    await fail(breaker, 5)
    assert metric("circuit_breaker_state", name=name, state="closed") == 0
    assert metric("circuit_breaker_state", name=name, state="open") == 1
    with pytest.raises(Rejected):
        await succeed(breaker)
    clock.now += 10
    await succeed(breaker, 3)
    assert metric("circuit_breaker_state", name=name, state="closed") == 1
    for state in ("open", "half_open", "closed"):
        assert metric("circuit_breaker_transitions_total", name=name, to=state) == 1
    assert metric("circuit_breaker_calls_total", name=name, result="failure") == 5
    assert metric("circuit_breaker_calls_total", name=name, result="success") == 3
    assert metric("circuit_breaker_calls_total", name=name, result="rejected") == 1
