"""Each fault alone: what was replaced is not read on the replica that replaced it, nor a second later on another.

The model (test_model.py) mixes them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.coherence.replica import LIST, Killed, Settings
from tests.coherence.store import Store
from tests.coherence.test_model import SERVER_FAULTS, WAY_FAULTS
from tests.coherence.world import BEHIND_SECONDS, EVERYTHING, NAMES, World

WAITS = 6
"""How often a write waits where the pool has a connection."""


@pytest.fixture
async def world(settings: Settings, stores: tuple[Store, Store]) -> AsyncIterator[World]:
    world = World(settings, stores)
    await world.start()
    yield world
    await world.stop()


async def replaced(world: World, happens: Callable[[], object], *, after: bool) -> None:
    """Everything is cached; it happens before everything is replaced, or after it and before it is again."""
    await world.in_use()
    if not after:
        happens()
    for key in EVERYTHING:
        await world.write("a", key)
    if after:
        happens()
    await seen(world)
    if after:
        for key in EVERYTHING:
            await world.write("a", key)
        await seen(world)
    await world.heal()
    await world.check()


async def seen(world: World) -> None:
    """At once where it was written, a second later everywhere."""
    for key in EVERYTHING:
        await world.read("a", key)
    await asyncio.sleep(BEHIND_SECONDS + 0.02)
    await world.check()


@pytest.mark.contract("Z02")
async def test_a_server_that_fails_before_the_write(world: World) -> None:
    for fault in SERVER_FAULTS.values():
        world.stores[0].snapshot()
        await replaced(world, lambda fault=fault: fault(world.stores[0]), after=False)


@pytest.mark.contract("Z02")
@pytest.mark.parametrize(
    "fault", ["old data under the same connections", "restarted with an old snapshot", "restarted empty"]
)
async def test_a_server_that_loses_what_it_acknowledged(world: World, fault: str) -> None:
    await world.in_use()
    world.stores[0].snapshot()
    await replaced(world, lambda: SERVER_FAULTS[fault](world.stores[0]), after=True)


@pytest.mark.contract("Z02")
async def test_a_way_to_redis_that_fails_for_the_writer_alone(world: World) -> None:
    for fault in WAY_FAULTS.values():
        await replaced(world, lambda fault=fault: fault(world.proxies["a"]), after=False)


@pytest.mark.contract("Z02")
async def test_a_replica_that_had_fallen_behind_takes_over(world: World) -> None:
    """The connections break or stay; where one replica of the service alone is led to it, both servers take writes."""
    for cut in (True, False):
        for which in (("a",), ("b",), NAMES):
            await world.in_use()
            world.stores[1].copy(world.stores[0])
            await replaced(world, lambda which=which, cut=cut: world.fail_over(which, 1, cut=cut), after=True)


@pytest.mark.contract("Z02")
async def test_a_writer_that_is_killed_at_any_of_its_waits(world: World) -> None:
    """What it leaves behind is sent by the other replica, and by its successor before that reads."""
    await world.in_use()
    assert await world.replicas["a"].write_until("1", WAITS) > 1
    with pytest.raises(Killed):
        await world.replicas["b"].write_until("1", WAITS - 1)
    await world.replicas["b"].kill()
    await world.revive("b")
    for steps in range(WAITS):
        for key, wait in (("1", True), (LIST, False)):
            await world.in_use()
            await world.killed_in_write("a", key, steps)
            if wait:
                await asyncio.sleep(BEHIND_SECONDS + 0.02)
                await world.read("b", key)
            await world.revive("a")
            await world.read("a", key)
