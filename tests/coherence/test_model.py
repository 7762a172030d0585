"""No read shows what an acknowledged write has replaced: two replicas, every fault of Redis, a death at any step.

The model (tests.coherence.world) allows an older version only to another replica, and for a second.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, strategies
from hypothesis import settings as bounds
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.coherence.proxy import Proxy
from tests.coherence.replica import Settings
from tests.coherence.store import Store
from tests.coherence.world import BEHIND_SECONDS, EVERYTHING, NAMES, World

STUCK_SECONDS = 60
"""No rule takes so long: what waits for ever fails, or nothing would end the run."""

names = strategies.sampled_from(NAMES)
keys = strategies.sampled_from(EVERYTHING)
stores = strategies.integers(0, 1)


def pause(store: Store, what: str) -> None:
    store.client.execute_command("CLIENT", "PAUSE", 400, what)


def fill_up(store: Store, policy: str) -> None:
    store.client.config_set("maxmemory-policy", policy)
    store.client.config_set("maxmemory", max(1, store.client.info("memory")["used_memory"] - 4096))


SERVER_FAULTS: dict[str, Callable[[Store], object]] = {
    "read-only": lambda store: store.client.replicaof("127.0.0.1", "1"),
    "hung": lambda store: pause(store, "ALL"),
    "hung for writes": lambda store: pause(store, "WRITE"),
    "out of memory": lambda store: fill_up(store, "noeviction"),
    "evicting": lambda store: fill_up(store, "allkeys-random"),
    "flushed": lambda store: store.client.flushall(),
    "restarted empty": lambda store: store.restart_with(old=False),
    "restarted with an old snapshot": lambda store: store.restart_with(old=True),
    "old data under the same connections": lambda store: store.reload_old(),
}


WAY_FAULTS: dict[str, Callable[[Proxy], object]] = {
    "cut": lambda proxy: proxy.cut(),
    "answers are lost": lambda proxy: setattr(proxy, "muted", True),
    "requests are late": lambda proxy: proxy.hold(),
}


class Machine(RuleBasedStateMachine):
    """One event loop for the two replicas, which runs while a rule does."""

    make: Callable[[], World]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = type(self).make()
        self.run(self.world.start())

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(asyncio.wait_for(coroutine, STUCK_SECONDS))

    @rule(name=names, key=keys)
    def write(self, name: str, key: str) -> None:
        self.run(self.world.write(name, key))
        self.run(self.world.read(name, key))

    @rule(name=names, key=keys)
    def read(self, name: str, key: str) -> None:
        self.run(self.world.read(name, key))

    @rule(name=names, key=keys)
    def read_and_write_under_way(self, name: str, key: str) -> None:
        async def begin() -> None:
            self.world.begin_read(name, key)
            await asyncio.sleep(0.005)
            self.world.begin_write(name, key)

        self.run(begin())

    @rule()
    def finish(self) -> None:
        self.run(self.world.finish())

    @rule()
    def check(self) -> None:
        self.run(self.world.check())

    @rule()
    def a_second_passes(self) -> None:
        self.run(asyncio.sleep(BEHIND_SECONDS + 0.05))
        self.run(self.world.check())

    @rule(store=stores, fault=strategies.sampled_from(sorted(SERVER_FAULTS)))
    def a_server_fails(self, store: int, fault: str) -> None:
        SERVER_FAULTS[fault](self.world.stores[store])

    @rule(store=stores)
    def snapshot(self, store: int) -> None:
        self.world.stores[store].snapshot()

    @rule(store=stores)
    def a_replica_falls_behind(self, store: int) -> None:
        """It has the data as they are now, and no later ones."""
        self.world.stores[store].copy(self.world.stores[1 - store])

    @rule(which=strategies.sets(names, min_size=1), store=stores, cut=strategies.booleans())
    def fail_over(self, which: set[str], store: int, cut: bool) -> None:
        """Both servers take writes where it is not all that are led there."""
        self.world.fail_over(which, store, cut=cut)
        self.run(asyncio.sleep(0))

    @rule(name=names, way=strategies.sampled_from(sorted(WAY_FAULTS)))
    def the_way_fails(self, name: str, way: str) -> None:
        WAY_FAULTS[way](self.world.proxies[name])
        self.run(asyncio.sleep(0))

    @rule()
    def heal(self) -> None:
        self.run(self.world.heal())

    @rule(name=names, key=keys, steps=strategies.integers(0, 9))
    def killed_in_write(self, name: str, key: str, steps: int) -> None:
        self.run(self.world.killed_in_write(name, key, steps))
        self.run(self.world.revive(name))
        self.run(self.world.read(name, key))

    def teardown(self) -> None:
        try:
            self.run(self.world.stop())
        finally:
            self.runner.close()


BOUNDED = bounds(
    max_examples=3,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=[Phase.generate],  # an example takes seconds: what fails is shown as it is
)


@pytest.mark.contract("Z02")
def test_no_read_shows_what_an_acknowledged_write_has_replaced(settings: Settings, stores: tuple[Store, Store]) -> None:
    Machine.make = lambda: World(settings, stores)
    run_state_machine_as_test(Machine, settings=BOUNDED)
