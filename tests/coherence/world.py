"""Two replicas, two Valkeys and what may be read: the model against which every read is checked."""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass

from chassis.testing import eventually

from tests.coherence.proxy import Proxy
from tests.coherence.replica import KEYS, LIST, Killed, Replica, Settings
from tests.coherence.store import Store

BEHIND_SECONDS = 1.0
"""By so much a replica may be behind a write of another one."""
NAMES = ("a", "b")
EVERYTHING = (*KEYS, LIST)


@dataclass
class Written:
    """Acknowledged at `at` (seconds), or found in the database when its writer had been killed."""

    at: float
    writer: str
    key: str
    version: int

    def floors(self, reader: str, key: str, began: float) -> bool:
        """Whether a read that began then must not be older."""
        due = self.at if self.writer == reader else self.at + BEHIND_SECONDS
        return key == self.key and due <= began


class World:
    """`settings` lead to a database that has the tables; the Redis of each replica is behind `proxies[name]`."""

    def __init__(self, settings: Settings, stores: tuple[Store, Store]) -> None:
        self._settings = settings
        self.stores = stores
        self.proxies: dict[str, Proxy] = {}
        self.replicas: dict[str, Replica] = {}
        self._written: list[Written] = []
        self._under_way: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        for store in self.stores:
            store.heal()
            store.client.flushall()
        for name in NAMES:
            self.proxies[name] = Proxy(self.stores[0].port)
            await self.proxies[name].start()
            await self.revive(name)

    async def stop(self) -> None:
        """All faults end, and then the cache is right and in use again."""
        await self.heal()
        await self.finish()
        await asyncio.sleep(BEHIND_SECONDS + 0.1)
        await self.check()
        await self.in_use()
        for name in NAMES:
            await self.replicas[name].stop()
            await self.proxies[name].stop()

    async def in_use(self) -> None:
        """Everything is read from the cache by both."""
        for name in NAMES:
            for key in EVERYTHING:
                await eventually(lambda name=name, key=key: self._hit(name, key))

    async def heal(self) -> None:
        for store in self.stores:
            store.heal()
        for proxy in self.proxies.values():
            proxy.muted, proxy.target = False, self.stores[0].port
            proxy.release()
        await asyncio.sleep(0)

    def fail_over(self, which: Iterable[str], store: int, *, cut: bool) -> None:
        """These replicas' connections lead to that server, by new connections or beneath the old ones."""
        for name in which:
            self.proxies[name].target = self.stores[store].port
            if cut:
                self.proxies[name].cut()

    async def revive(self, name: str) -> None:
        settings = {"redis_host": "127.0.0.1", "redis_port": self.proxies[name].port}
        self.replicas[name] = Replica(self._settings.model_copy(update=settings))
        await self.replicas[name].start()

    async def write(self, name: str, key: str) -> None:
        self._wrote(name, key, await self.replicas[name].write(key))

    async def killed_in_write(self, name: str, key: str, steps: int) -> None:
        """At the `steps`-th wait."""
        replica = self.replicas[name]
        with contextlib.suppress(Killed):
            self._wrote(name, key, await replica.write_until(key, steps))
        await self.finish()
        self.proxies[name].cut()
        await replica.kill()
        others = next(self.replicas[other] for other in NAMES if other != name)
        self._wrote(name, key, await others.current(key))

    def begin_write(self, name: str, key: str) -> None:
        self._under_way.append(asyncio.ensure_future(self.write(name, key)))

    def begin_read(self, name: str, key: str) -> None:
        """One that, on a miss, comes back from the database when `finish` lets it."""
        self.replicas[name].gate.clear()
        self._under_way.append(asyncio.ensure_future(self._read(name, key)))

    async def finish(self) -> None:
        for replica in self.replicas.values():
            replica.gate.set()
        under_way, self._under_way = self._under_way, []
        await asyncio.gather(*under_way)

    async def read(self, name: str, key: str) -> None:
        """What `begin_read` holds is let go: this read may wait for the same answer of the database."""
        self.replicas[name].gate.set()
        await self._read(name, key)

    async def _read(self, name: str, key: str) -> None:
        began = time.monotonic()
        version = await self.replicas[name].read(key)
        floor = max((each.version for each in self._written if each.floors(name, key, began)), default=0)
        assert version >= floor, f"{name} read {key} at version {version}, {floor} was written"

    async def check(self) -> None:
        for name in NAMES:
            for key in EVERYTHING:
                await self.read(name, key)

    def _wrote(self, name: str, key: str, version: int) -> None:
        self._written.append(Written(time.monotonic(), name, key, version))

    async def _hit(self, name: str, key: str) -> bool:
        replica = self.replicas[name]
        await replica.read(key)
        fills = replica.fills
        await replica.read(key)
        return replica.fills == fills
