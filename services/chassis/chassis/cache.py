"""A read-through cache of ready answers over Redis.

A read with Redis down, slow or wrong is a miss, never an error. No read shows what an acknowledged write has replaced:
an entry counts only under the tag that its reader saw before it asked the database, and every eviction replaces the tag
(a lease, as in Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1). `chassis.coherence` decides
whether what Redis answers may be believed at all.
"""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis
import prometheus_client
from pydantic import BaseModel

from chassis import logs, tracing
from chassis.actuator import Health
from chassis.coherence import Coherence
from chassis.entries import TOKEN_BYTES, entry_name, format_of, packed, tag_name, unpacked
from chassis.errors import Unavailable
from chassis.evictions import LISTS, Eviction, Evictions
from chassis.redis import RedisConnection
from chassis.settings import CacheSettings
from chassis.tally import Counter
from chassis.transaction import Reader

log = logs.logger(__name__)

REQUESTS = Counter("cache_requests_total", "Cached reads", ["cache", "key_pattern", "result"])
EVICTIONS = prometheus_client.Counter("cache_evictions_total", "Entries and generations made invalid", ["cache"])

_REDIS = {"db.system.name": "redis"}

# KEYS: tag. ARGV: its value where there is none, or none that is a tag; its life in ms.
_TAG = f"""
local tag = redis.pcall('GET', KEYS[1])
if type(tag) ~= 'string' or #tag ~= {TOKEN_BYTES} then
  tag = ARGV[1]
  redis.call('SET', KEYS[1], tag, 'PX', ARGV[2])
end
return tag
"""

Fill = Callable[[], Awaitable[bytes | None]]


class Cache:
    """A part that is never critical; CACHE_TYPE=none makes every read a fill and every eviction nothing.

    `reader` reaches the database that has the tables of `chassis.evictions`; `shape` is the schema of the answers.
    """

    name = "redis"
    role = None
    critical = False

    def __init__(self, settings: CacheSettings, reader: Reader, shape: type[BaseModel]) -> None:
        self._on = settings.cache_type == "redis"
        self._ttl_ms = settings.cache_ttl_seconds * 1000
        self._format = format_of(shape)
        self._redis = RedisConnection(settings)
        self._evictions = Evictions(reader)
        self._coherence = Coherence(self._redis, self._evictions, self._format, 2 * self._ttl_ms)
        self._flights: dict[tuple[str, bytes], asyncio.Task[bytes | None]] = {}

    async def start(self) -> None:
        """Begins to connect, and to keep the cache coherent."""
        if self._on:
            await self._redis.start()
            await self._coherence.start()

    async def stop(self) -> None:
        """Disconnects."""
        if self._on:
            await self._coherence.stop()
            await self._redis.stop()

    async def health(self) -> Health:
        """Up while Redis answers and its entries may be read."""
        if not self._on:
            return Health(up=True, details={"cache": "none"})
        await self._redis.command("PING")
        return Health(up=self._coherence.open)

    async def get_or_fill(self, cache: str, pattern: str, key: str, fill: Fill) -> bytes | None:
        """The entry, or what `fill` answers, which is kept unless it is None or was evicted meanwhile.

        `pattern` is the key with its variable parts named ("{id}"), for the metrics.
        """
        return await self._read(cache, pattern, key, key, fill)

    async def get_or_fill_list(self, cache: str, pattern: str, key: str, fill: Fill) -> bytes | None:
        """The same for answers made of many rows: all entries of a cache become invalid by `bump`."""
        return await self._read(cache, pattern, key, LISTS, fill)

    async def evict(self, cache: str, *keys: str, record: int | None = None) -> None:
        """Makes entries invalid, also for readers that are on their way back with an old row.

        What Redis does not acknowledge is sent again until it does, by another process if this one dies, and no entry
        is read before. `record` is the row that says so, written with the change (`evictions.recorded`); without one,
        a row is written when it is needed.

        Raises:
            Unavailable: neither Redis nor the database has taken note of it.
        """
        EVICTIONS.labels(cache).inc(len(keys))
        if not self._on:
            if record is not None:
                await self._evictions.forget([record])
            return
        eviction = Eviction(cache, keys, record)
        if not await self._coherence.evict(eviction) and record is None:
            await self._evictions.record(cache, keys)

    async def bump(self, cache: str, record: int | None = None) -> None:
        """Makes every list of a cache invalid, as `evict` does for entries."""
        await self.evict(cache, LISTS, record=record)

    async def _read(self, cache: str, pattern: str, key: str, tagged: str, fill: Fill) -> bytes | None:
        if not self._on:
            return await fill()
        fence = self._coherence.fence_for(cache, tagged)
        if fence is None:
            REQUESTS.labels(cache, pattern, "error").inc()
            return await fill()
        entry, tag_key = entry_name(cache, self._format, key), tag_name(cache, tagged)
        floor, epoch = fence.acknowledged, self._coherence.epoch
        found = await self._try("MGET", entry, tag_key, fence.key)
        if found is None or not fence.holds(found[2], floor):
            if found is not None:
                self._coherence.went_back(fence)
            REQUESTS.labels(cache, pattern, "error").inc()
            return await fill()
        tag = found[1]
        if tag is not None and (body := unpacked(epoch + tag, found[0])) is not None:
            REQUESTS.labels(cache, pattern, "hit").inc()
            return body
        REQUESTS.labels(cache, pattern, "miss").inc()
        return await self._missed(entry, tag_key, epoch, tag, fill)

    async def _missed(self, entry: str, tag_key: str, epoch: bytes, tag: bytes | None, fill: Fill) -> bytes | None:
        if tag is None or len(tag) != TOKEN_BYTES:
            tag = await self._try("EVAL", _TAG, 1, tag_key, secrets.token_hex(8), 2 * self._ttl_ms)
        if tag is None:
            return await fill()
        head = epoch + tag
        # The head in its name: who comes after an eviction joins no fill that began before it.
        return await self._fly((entry, head), lambda: self._filled(entry, head, fill))

    async def _try(self, *words: bytes | str | int) -> Any:
        """The reply; None when Redis is down, slow, or answers nonsense."""
        try:
            if not tracing.wanted():
                return await self._redis.command(*words)
            with tracing.child(str(words[0]), _REDIS):
                return await self._redis.command(*words)
        except (Unavailable, hiredis.ReplyError) as error:
            if isinstance(error, hiredis.ReplyError):
                log.warning("redis refused a command", code=str(error).partition(" ")[0])
            return None

    async def _fly(self, flight: tuple[str, bytes], fill: Fill) -> bytes | None:
        """One fill at a time for one entry; the others wait for its answer."""
        task = self._flights.get(flight)
        if task is None:
            task = asyncio.ensure_future(fill())
            self._flights[flight] = task
            task.add_done_callback(lambda _: self._flights.pop(flight, None))
        # A reader who hangs up must not take the others' answer along.
        return await asyncio.shield(task)

    async def _filled(self, entry: str, head: bytes, fill: Fill) -> bytes | None:
        body = await fill()
        if body is not None:
            # Give or take a tenth: entries made together must not expire together.
            life = int(self._ttl_ms * random.uniform(0.9, 1.1))  # noqa: S311 - no secret
            await self._try("SET", entry, packed(head, body), "PX", life)
        return body
