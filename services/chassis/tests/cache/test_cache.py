"""The cache on a real Valkey: one fill for many readers, no old row after an eviction, and never an error."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from chassis.cache import Cache
from chassis.errors import Unavailable
from chassis.recovery import recovery
from chassis.testing import eventually
from pydantic import BaseModel


class Thing(BaseModel):
    """What the entries are said to be."""


class Source:
    """What a fill reads; counts how often."""

    def __init__(self, value: bytes | None = b"old") -> None:
        self.value = value
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self) -> bytes | None:
        self.reads += 1
        value = self.value
        await self.gate.wait()
        return value


def reading(cache: Cache, source: Source, key: str = "1") -> Any:
    return cache.get_or_fill("things", "{id}", key, source.read)


@pytest.mark.contract("P11", "P14")
async def test_the_first_miss_fills_and_the_entry_expires(cache, redis) -> None:
    source = Source()
    assert await reading(cache, source) == b"old"
    assert await reading(cache, source) == b"old"
    assert source.reads == 1
    for number in range(2, 30):
        await reading(cache, source, str(number))
    entries = redis.keys("things:2-*")
    assert len(entries) == 29
    lives = [redis.pttl(name) for name in entries]
    assert all(260_000 < life <= 330_000 for life in lives)
    assert max(lives) - min(lives) > 10_000, "entries made together expire together"


async def test_what_does_not_exist_is_not_kept(cache) -> None:
    source = Source(None)
    assert await reading(cache, source) is None
    assert await reading(cache, source) is None
    assert source.reads == 2


async def test_many_readers_are_one_fill(cache) -> None:
    source = Source()
    source.gate.clear()
    readers = [asyncio.create_task(reading(cache, source)) for _ in range(50)]
    await eventually(lambda: source.reads)
    readers[0].cancel()
    source.gate.set()
    assert set(await asyncio.gather(*readers[1:])) == {b"old"}
    assert source.reads == 1


async def test_an_eviction_on_the_way_keeps_the_old_row_out(cache) -> None:
    source = Source(b"old")
    source.gate.clear()
    slow = asyncio.create_task(reading(cache, source))
    await eventually(lambda: source.reads)
    source.value = b"new"
    await cache.evict("things", "1")
    source.gate.set()
    assert await slow == b"old"
    assert await reading(cache, source) == b"new"
    assert await reading(cache, source) == b"new"
    assert source.reads == 2


async def test_two_processes_share_entries_and_evictions(cache, other) -> None:
    first, second = Source(b"old"), Source(b"new")
    assert await reading(cache, first) == b"old"
    assert await reading(other, second) == b"old"
    await cache.evict("things", "1")
    assert await reading(other, second) == b"new"
    assert await reading(cache, first) == b"new"


async def test_lists_live_until_their_generation_ends(cache) -> None:
    source = Source(b"old")

    async def page() -> bytes | None:
        return await cache.get_or_fill_list("things", "list", "page=0", source.read)

    assert await page() == b"old"
    source.value = b"new"
    assert await page() == b"old"
    await cache.bump("things")
    assert await page() == b"new"
    assert source.reads == 2


async def test_a_bump_on_the_way_keeps_the_old_list_out(cache) -> None:
    source = Source(b"old")
    source.gate.clear()
    slow = asyncio.create_task(cache.get_or_fill_list("things", "list", "all", source.read))
    await eventually(lambda: source.reads)
    source.value = b"new"
    await cache.bump("things")
    source.gate.set()
    assert await slow == b"old"
    assert await cache.get_or_fill_list("things", "list", "all", source.read) == b"new"


async def within(seconds: float, reads: Callable[[], Any]) -> bytes | None:
    started = time.perf_counter()
    value = await reads()
    assert time.perf_counter() - started < seconds
    return value


async def test_redis_down_slow_or_flushed_is_a_miss_and_comes_back(cache, valkey, redis) -> None:
    source = Source()
    assert await reading(cache, source) == b"old"
    valkey.pause()
    try:
        assert await within(1.0, lambda: reading(cache, source)) == b"old"
        assert await within(1.0, lambda: reading(cache, source)) == b"old"
        await within(1.0, lambda: cache.evict("things", "1"))
    finally:
        valkey.resume()
    await eventually(lambda: _up(cache))
    valkey.kill()
    try:
        for _ in range(20):
            assert await within(0.5, lambda: reading(cache, source)) == b"old"
        await cache.bump("things")
    finally:
        valkey.start()
    await eventually(lambda: _up(cache))
    reads = source.reads
    await reading(cache, source)
    await reading(cache, source)
    assert source.reads == reads + 1


@pytest.mark.contract("Z01")
async def test_the_return_of_redis_wakes_those_who_wait_for_the_world(cache, valkey) -> None:
    valkey.kill()
    try:
        await eventually(lambda: _down(cache))
        asleep = asyncio.create_task(recovery.sleep(60))
    finally:
        valkey.start()
    await asyncio.wait_for(asleep, 10)


@pytest.mark.contract("Q23", "Z02")
async def test_an_eviction_that_redis_did_not_hear_is_made_up_for(cache, other, valkey) -> None:
    """Redis keeps its data over the outage."""
    source = Source(b"old")

    async def page(of: Cache) -> bytes | None:
        return await of.get_or_fill_list("things", "list", "all", source.read)

    async def kept(of: Cache) -> bool:
        """Whether the new list is there, and comes from Redis."""
        reads = source.reads
        return await page(of) == b"new" and source.reads == reads

    assert await page(cache) == b"old"
    valkey.pause()
    try:
        await eventually(lambda: _down(cache))  # connected no more: the eviction is not even sent
        source.value = b"new"
        await cache.bump("things")
    finally:
        valkey.resume()
    assert await page(cache) == b"new"
    await eventually(lambda: _up(cache))
    assert await page(cache) == b"new"
    for of in (other, cache):
        await eventually(lambda of=of: kept(of))


async def _down(cache: Cache) -> bool:
    return not await _up(cache)


async def _up(cache: Cache) -> bool:
    try:
        return (await cache.health()).up
    except Unavailable:
        return False


@contextmanager
def refusing(redis: Any, how: str) -> Iterator[None]:
    """While a replica, or out of memory, Redis answers reads and refuses writes."""
    if how == "a replica":
        redis.replicaof("127.0.0.1", "1")
    else:
        redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        redis.replicaof("NO", "ONE")
        redis.config_set("maxmemory", 0)


@pytest.mark.contract("Z02")
@pytest.mark.parametrize("how", ["a replica", "out of memory"])
async def test_a_redis_that_refuses_is_a_miss_and_its_evictions_are_not_dropped(cache, redis, how) -> None:
    source = Source()
    with refusing(redis, how):
        for key in ("1", "2"):
            assert await reading(cache, source, key) == b"old"
        assert await cache.get_or_fill_list("things", "list", "x", source.read) == b"old"
        await cache.evict("things", "1")
        await cache.bump("things")
    assert source.reads == 3

    async def kept() -> bool:
        reads = source.reads
        return await reading(cache, source) == b"old" and source.reads == reads

    await eventually(kept)


async def test_a_cache_that_is_not_read_says_why_once(cache, redis, capsys) -> None:
    with refusing(redis, "a replica"):
        await eventually(lambda: _down(cache))
        await asyncio.sleep(0.6)
    await eventually(lambda: _up(cache))
    lines = capsys.readouterr().out
    assert lines.count("the cache is not read") == 1
    assert "READONLY" in lines
    assert lines.count("the cache is read again") == 1


async def test_an_eviction_that_nobody_takes_note_of_is_an_error(cache, postgres, redis, database_environ) -> None:
    """A consumer then tries its message again."""
    role = database_environ["DATABASE_USER"]
    with refusing(redis, "a replica"):
        postgres.execute(f"REVOKE INSERT ON cache_eviction FROM {role}", role)
        try:
            with pytest.raises(Exception, match=r"permission denied|not available"):
                await cache.evict("things", "1")
        finally:
            postgres.execute(f"GRANT INSERT ON cache_eviction TO {role}", role)


NONSENSE = [b"", b"garbage", b"1\n{}", bytes(range(256)), b"0" * 40, b"9" * 5000]


@pytest.mark.contract("Z02")
@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("part", ["things:2-*", "things:*evicted", "things:generation", "cache:fence:*"])
async def test_whatever_cannot_be_read_is_a_miss_and_is_overwritten(cache, redis, part, lists) -> None:
    """The entry, its tag, the fence: of another type, and as bytes that mean nothing."""
    source = Source()

    async def read() -> bytes | None:
        if lists:
            return await cache.get_or_fill_list("things", "list", "1", source.read)
        return await reading(cache, source)

    async def hit() -> bool:
        reads = source.reads
        return await read() == b"old" and source.reads == reads

    await eventually(hit)
    for nonsense in [*NONSENSE, None]:
        for name in redis.keys(part):
            redis.delete(name)
            if nonsense is None:
                redis.rpush(name, "a", "list")
            else:
                redis.set(name, nonsense)
        assert await read() == b"old"
        await eventually(hit)


async def test_an_entry_that_was_changed_by_a_byte_is_a_miss(cache, redis) -> None:
    source = Source(b"the body of an entry")
    await reading(cache, source)
    (name,) = redis.keys("things:2-*")
    whole = redis.get(name)
    for at in range(len(whole)):
        redis.set(name, whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert await reading(cache, source) == source.value
        assert source.reads == at + 2
    redis.set(name, whole[:-1])
    assert await reading(cache, source) == source.value
    assert source.reads == len(whole) + 2


@pytest.mark.contract("V04")
async def test_cache_type_none_reads_every_time_and_needs_no_redis(settings, database) -> None:
    off = settings.model_copy(update={"cache_type": "none", "redis_port": 1})
    cache = Cache(off, database, Thing)
    await cache.start()
    source = Source()
    await reading(cache, source)
    await reading(cache, source)
    await cache.evict("things", "1")
    await cache.bump("things")
    assert source.reads == 2
    assert (await cache.health()).up
    await cache.stop()
