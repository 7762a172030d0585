"""Keeps one replica's view of the cache coherent with the database (ADR 13).

An entry is read only while everything that could make it stale is ruled out:

- the replica wrote to Redis within TRUST_SECONDS, to a primary, on this connection, and its fence is unbroken;
- the database names the same data (`identity`) as everybody's, and the epoch in the entry's name is the current one;
- no eviction of the entry waits for Redis's acknowledgement, its own or one that another replica has left behind.

Whatever fails closes the cache for this replica: it reads from the database until the next beat that succeeds.
"""

import asyncio
import contextlib
import secrets

from chassis import logs
from chassis.entries import names
from chassis.errors import Unavailable
from chassis.evictions import Eviction, Evictions, Pending
from chassis.fence import Fence
from chassis.recovery import recovery
from chassis.redis import RedisConnection
from chassis.tally import Counter

log = logs.logger(__name__)

EPOCHS = Counter("cache_epochs_total", "Times that all entries were made invalid, because Redis's data may be old")

BEAT_SECONDS = 0.25
"""Between two looks at the database, each followed by a write of the replica's own."""
TRUST_SECONDS = 0.8
"""From the beginning of a beat that succeeded; with the time-out of a command it stays below the promised second."""
LOOK_SECONDS = 0.3
"""For a look: a database that hangs must not keep the replica from its writes to Redis."""
ABANDONED_SECONDS = 0.4
"""The age at which a recorded eviction is sent by whoever sees it."""
SPACING_SECONDS = 0.02
"""Between two beats that something calls for."""


class Coherence:
    """`fence` and `epoch` are for reads; `evict` is for writes. `format` is that of the entries' names."""

    def __init__(self, redis: RedisConnection, evictions: Evictions, format: str, tag_ms: int) -> None:
        self._redis = redis
        self._redis.changed = self._changed
        self._evictions = evictions
        self._format = format
        self._tag_ms = tag_ms
        self._fence: Fence | None = None
        self.epoch = b""
        self._trusted_until = 0.0
        self._reading = True
        self._pending = Pending()
        self._known = ("", "")
        self._renew = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Sends what an earlier process has left behind, then opens the cache; both go on in the background."""
        self._clock = asyncio.get_running_loop().time
        await self._beat(0.0)
        self._task = asyncio.create_task(self._keep_beating(), name="cache coherence")

    async def stop(self) -> None:
        """What Redis has not acknowledged stays recorded."""
        recovery.forget(self)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._look(ABANDONED_SECONDS)

    @property
    def open(self) -> bool:
        """Whether entries may be read at all."""
        return self._clock() < self._trusted_until

    def fence_for(self, cache: str, key: str) -> Fence | None:
        """The fence that the reply to a read has to pass; None: read from the database."""
        if self._clock() < self._trusted_until and (cache, key) not in self._pending.keys:
            return self._fence
        return None

    def went_back(self, fence: Fence) -> None:
        """A reply did not pass the fence."""
        fence.lost = True
        self._distrust()

    async def evict(self, eviction: Eviction) -> bool:
        """Whether Redis has acknowledged it. Otherwise nothing of it is read here until Redis has."""
        try:
            await self._send(eviction)
        except Unavailable:
            if not self._pending.add(eviction):
                self._distrust()
            return False
        return True

    async def _send(self, eviction: Eviction) -> None:
        fence = self._fence
        if fence is None:
            raise Unavailable("redis")
        tags, entries = names(eviction.cache, self._format, eviction.keys)
        try:
            await fence.write(tags, entries, self._tag_ms)
        finally:
            if fence.lost:
                self.went_back(fence)
        self._pending.settle(eviction)

    async def _beat(self, age: float) -> None:
        """One look at the database, one write to Redis, and what is pending. Then the cache is open for a while."""
        began = self._clock()
        await self._look(age)
        try:
            fence = await self._proven()
            await self._agree(fence)
            for eviction in self._pending.evictions:
                await self._send(eviction)
        except Exception as error:
            self._close(error)
            return
        if fence.connected and not fence.lost and not self._renew:
            if not self._reading:
                log.info("the cache is read again")
            self._reading, self._trusted_until = True, began + TRUST_SECONDS
            recovery.succeeded(self)

    async def _look(self, age: float) -> None:
        """What the database says: the epoch, and evictions that were left behind; then ours are deleted."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                self._known = await self._evictions.epoch()
                if not self._pending.take_over(await self._evictions.older_than(age)):
                    self._distrust()
                if settled := tuple(self._pending.settled):
                    await self._evictions.forget(settled)
                    self._pending.settled.difference_update(settled)
        except Exception as error:
            # Nobody can write then, unless it is only this process that does not reach the database.
            log.debug("the cache cannot ask the database", error=type(error).__name__)

    def _distrust(self) -> None:
        """No entry counts until there is a new epoch, which makes every eviction before it moot."""
        self._renew, self._trusted_until = True, 0.0
        self._wake.set()

    async def _proven(self) -> Fence:
        """The fence, raised; a new one where the connection or the server's data is another."""
        fence = self._fence
        if fence is not None and fence.connected and not fence.lost:
            with contextlib.suppress(Unavailable):
                await fence.write()
                if await fence.current_identity() == fence.identity:
                    return fence
        self._trusted_until = 0.0
        opened = await Fence.open(self._redis, fence)
        self._renew = self._renew or not opened.continuous
        self._fence = opened
        return opened

    async def _agree(self, fence: Fence) -> None:
        """Takes over everybody's epoch, or begins a new one where the data may be older than what was acknowledged."""
        other = self._known[0] != fence.identity
        if other and fence.agreed:
            self._redis.reconnect()  # somebody has found other data behind the same address
            raise Unavailable("redis")
        if other or self._renew:
            await self._begin_epoch(fence.identity)
        self.epoch, fence.agreed = self._known[1].encode(), True

    async def _begin_epoch(self, identity: str) -> None:
        moot, self._renew = self._pending.evictions, False
        epoch = secrets.token_hex(8)
        try:
            await self._evictions.replace_epoch(identity, epoch)
        except BaseException:
            self._renew = True
            raise
        log.warning("redis may hold old data: the cache begins anew")
        EPOCHS.labels().inc()
        self._known = identity, epoch
        self._pending.settle(*moot)

    def _close(self, error: Exception) -> None:
        if self._reading:
            code = str(error.__cause__ or "").partition(" ")[0]
            log.warning("the cache is not read", error=type(error).__name__, code=code)
        self._reading, self._trusted_until = False, 0.0
        recovery.failed(self)

    def _changed(self) -> None:
        self._trusted_until = 0.0
        self._wake.set()

    async def _keep_beating(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._wake.wait()
            await asyncio.sleep(SPACING_SECONDS)
            self._wake.clear()
            await self._beat(ABANDONED_SECONDS)
