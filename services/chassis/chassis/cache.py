"""A read-through cache of ready answers over Redis.

A read with Redis down, slow or wrong is a miss, never an error. An eviction leaves a marker: a reader that missed
before the eviction and comes back with the old row is refused, because the marker is no longer the one it saw (a
lease, as in Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1). Lists live under a
generation, which every write replaces; while Redis has not heard of that, reads go past it, and it is told again.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis
import prometheus_client

from chassis import logs, tracing
from chassis.actuator import Health
from chassis.errors import Unavailable
from chassis.redis import RedisConnection
from chassis.settings import CacheSettings
from chassis.tally import Counter

log = logs.logger(__name__)

REQUESTS = Counter("cache_requests_total", "Cached reads", ["cache", "key_pattern", "result"])
EVICTIONS = prometheus_client.Counter("cache_evictions_total", "Entries and generations made invalid", ["cache"])

MARKER_MS = 60_000
_REDIS = {"db.system.name": "redis"}
GENERATION_MS = 86_400_000
AGAIN_SECONDS = 0.2

# KEYS: entry, marker. ARGV: marker as the reader saw it, body, life in ms. A fill that an eviction overtook is refused.
_FILL = """
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
# KEYS: generation. ARGV: a new generation, should there be none; its life in ms; the entry's name.
_LISTED = """
local generation = redis.call('GET', KEYS[1])
if not generation then
  generation = ARGV[1]
  redis.call('SET', KEYS[1], generation, 'PX', ARGV[2])
end
return {generation, redis.call('GET', KEYS[1] .. ':' .. generation .. ':' .. ARGV[3])}
"""

Fill = Callable[[], Awaitable[bytes | None]]


class Cache:
    """A part that is never critical; CACHE_TYPE=none makes every read a fill and every eviction nothing."""

    name = "redis"
    role = None
    critical = False

    def __init__(self, settings: CacheSettings) -> None:
        self._on = settings.cache_type == "redis"
        self._ttl = settings.cache_ttl_seconds
        self._redis = RedisConnection(settings)
        self._flights: dict[str, asyncio.Task[bytes | None]] = {}
        self._owed: set[str] = set()
        self._payer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to connect."""
        if self._on:
            await self._redis.start()

    async def stop(self) -> None:
        """Disconnects."""
        if self._payer is not None:
            self._payer.cancel()
        if self._on:
            await self._redis.stop()

    async def health(self) -> Health:
        """Up while Redis answers."""
        if not self._on:
            return Health(up=True, details={"cache": "none"})
        await self._redis.command("PING")
        return Health(up=True)

    async def get_or_fill(self, cache: str, pattern: str, key: str, fill: Fill) -> bytes | None:
        """The entry, or what `fill` answers, which is kept unless it is None or was evicted meanwhile.

        `pattern` is the key with its variable parts named ("{id}"), for the metrics.
        """
        if not self._on:
            return await fill()
        entry, marker = f"{cache}:{key}", f"{cache}:{key}:evicted"
        found = await self._try("MGET", entry, marker)
        if found is None:
            REQUESTS.labels(cache, pattern, "error").inc()
            return await fill()
        if found[0] is not None:
            REQUESTS.labels(cache, pattern, "hit").inc()
            return bytes(found[0])
        REQUESTS.labels(cache, pattern, "miss").inc()
        seen = found[1] or b""
        return await self._fly(entry + seen.decode("latin-1"), lambda: self._filled(entry, marker, seen, fill))

    async def get_or_fill_list(self, cache: str, pattern: str, key: str, fill: Fill) -> bytes | None:
        """The same for answers made of many rows: all entries of a cache become invalid by `bump`."""
        if not self._on:
            return await fill()
        generation_key = f"{cache}:generation"
        fresh = secrets.token_hex(8)
        found = await self._try("EVAL", _LISTED, 1, generation_key, fresh, GENERATION_MS, key)
        if found is None or cache in self._owed:
            REQUESTS.labels(cache, pattern, "error").inc()
            return await fill()
        if found[1] is not None:
            REQUESTS.labels(cache, pattern, "hit").inc()
            return bytes(found[1])
        REQUESTS.labels(cache, pattern, "miss").inc()
        entry = f"{generation_key}:{found[0].decode()}:{key}"
        return await self._fly(entry, lambda: self._listed(entry, fill))

    async def evict(self, cache: str, key: str) -> None:
        """Makes an entry invalid, also for readers that are on their way back with the old row.

        Raises:
            Unavailable: Redis did not acknowledge it. After a commit that is logged; a consumer tries again.
        """
        if self._on:
            EVICTIONS.labels(cache).inc()
            marker = self._must("SET", f"{cache}:{key}:evicted", secrets.token_hex(8), "PX", MARKER_MS)
            await asyncio.gather(marker, self._must("DEL", f"{cache}:{key}"))

    async def bump(self, cache: str) -> None:
        """Makes every list of a cache invalid.

        Raises:
            Unavailable: Redis did not acknowledge it. It is told again until it does; no list is read from it before.
        """
        if not self._on:
            return
        EVICTIONS.labels(cache).inc()
        try:
            await self._renew(cache)
        except Unavailable:
            self._owed.add(cache)
            if self._payer is None or self._payer.done():
                self._payer = asyncio.create_task(self._pay(), name="cache evictions")
            raise

    async def _renew(self, cache: str) -> None:
        await self._must("SET", f"{cache}:generation", secrets.token_hex(8), "PX", GENERATION_MS)
        # Replies come in order: whatever failed before this was sent, this makes up for.
        self._owed.discard(cache)

    async def _pay(self) -> None:
        while self._owed:
            await asyncio.sleep(AGAIN_SECONDS)
            for cache in tuple(self._owed):
                with contextlib.suppress(Unavailable):
                    await self._renew(cache)

    async def _must(self, *words: bytes | str | int) -> None:
        """A refusal (a replica, no memory left, a failed disk) is Redis's trouble as much as silence is."""
        try:
            await self._redis.command(*words)
        except hiredis.ReplyError as error:
            log.warning("redis refused a command", code=str(error).partition(" ")[0])
            raise Unavailable("redis") from None

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

    async def _fly(self, flight: str, fill: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """One fill at a time for one entry; the others wait for its answer."""
        task = self._flights.get(flight)
        if task is None:
            task = asyncio.ensure_future(fill())
            self._flights[flight] = task
            task.add_done_callback(lambda _: self._flights.pop(flight, None))
        # A reader who hangs up must not take the others' answer along.
        return await asyncio.shield(task)

    async def _filled(self, entry: str, marker: str, seen: bytes, fill: Fill) -> bytes | None:
        body = await fill()
        if body is not None:
            await self._try("EVAL", _FILL, 2, entry, marker, seen, body, self._life())
        return body

    async def _listed(self, entry: str, fill: Fill) -> bytes | None:
        body = await fill()
        if body is not None:
            await self._try("SET", entry, body, "PX", self._life())
        return body

    def _life(self) -> int:
        """Milliseconds, give or take a tenth: entries made together must not expire together."""
        return int(self._ttl * 1000 * random.uniform(0.9, 1.1))  # noqa: S311 - no secret
