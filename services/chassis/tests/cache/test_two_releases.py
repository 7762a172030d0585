"""The release before (git 7a581ae) and this one on one Redis: each evicts what the other keeps.

`Before` is the old cache as the commands that it sends.
"""

import secrets
from typing import Any

import pytest

FILL = """
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
LISTED = """
local generation = redis.call('GET', KEYS[1])
if not generation then
  generation = ARGV[1]
  redis.call('SET', KEYS[1], generation, 'PX', ARGV[2])
end
return {generation, redis.call('GET', KEYS[1] .. ':' .. generation .. ':' .. ARGV[3])}
"""


class Before:
    """A replica of the release before; `value` is what its database says."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self.value = b"1\n{}"

    def seen(self, key: str) -> bytes:
        """The marker, as a reader sees it before it asks the database."""
        return self._redis.get(f"things:{key}:evicted") or b""

    def fill(self, key: str, seen: bytes, body: bytes) -> None:
        self._redis.eval(FILL, 2, f"things:{key}", f"things:{key}:evicted", seen, body, 300_000)

    def read(self, key: str) -> bytes:
        entry, marker = self._redis.mget(f"things:{key}", f"things:{key}:evicted")
        if entry is None:
            self.fill(key, marker or b"", self.value)
        body = self.value if entry is None else entry
        int(body.partition(b"\n")[0])  # what it does to every entry: it has to be in its own format
        return body

    def evict(self, key: str) -> None:
        self._redis.set(f"things:{key}:evicted", secrets.token_hex(8), px=60_000)
        self._redis.delete(f"things:{key}")

    def read_list(self, key: str) -> bytes:
        generation, body = self._redis.eval(LISTED, 1, "things:generation", secrets.token_hex(8), 86_400_000, key)
        if body is None:
            self._redis.set(b"things:generation:%b:%b" % (generation, key.encode()), self.value, px=300_000)
        return self.value if body is None else body

    def bump(self) -> None:
        self._redis.set("things:generation", secrets.token_hex(8), px=86_400_000)


@pytest.fixture
def before(redis: Any) -> Before:
    return Before(redis)


class Now:
    """This release, as its two ways of reading."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache
        self.value = b"1\n{}"

    async def _fill(self) -> bytes:
        return self.value

    async def read(self, key: str) -> bytes:
        return await self._cache.get_or_fill("things", "{id}", key, self._fill)

    async def read_list(self, key: str) -> bytes:
        return await self._cache.get_or_fill_list("things", "list", key, self._fill)


@pytest.fixture
def now(cache: Any) -> Now:
    return Now(cache)


def change(before: Before, now: Now) -> bytes:
    before.value = now.value = b"2\n{}"
    return before.value


@pytest.mark.contract("Z02")
@pytest.mark.parametrize("first", ["before", "now"])
async def test_an_entry(cache, before, now, first) -> None:
    if first == "before":
        before.read("1")
    await now.read("1")
    before.read("1")
    for evict in (lambda: before.evict("1"), lambda: cache.evict("things", "1")):
        changed = change(before, now)
        done = evict()
        if done is not None:
            await done
        assert await now.read("1") == changed
        assert before.read("1") == changed
        before.value = now.value = b"1\n{}"
        before.evict("1")
        assert await now.read("1") == before.read("1") == before.value


@pytest.mark.contract("Z02")
@pytest.mark.parametrize("first", ["before", "now"])
async def test_a_list(cache, before, now, first) -> None:
    if first == "before":
        before.read_list("all")
    await now.read_list("all")
    before.read_list("all")
    for version, bump in enumerate((before.bump, lambda: cache.bump("things")), 2):
        before.value = now.value = b"%d\n{}" % version
        done = bump()
        if done is not None:
            await done
        assert await now.read_list("all") == before.read_list("all") == before.value


@pytest.mark.contract("Z02")
@pytest.mark.parametrize("read_by_now", [False, True], ids=["without a tag", "with a tag"])
async def test_a_fill_of_the_release_before_that_an_eviction_overtook(cache, before, now, read_by_now) -> None:
    if read_by_now:
        await now.read("1")
    seen, old = before.seen("1"), before.value
    changed = change(before, now)
    await cache.evict("things", "1")
    before.fill("1", seen, old)
    assert before.read("1") == changed
    assert await now.read("1") == changed
