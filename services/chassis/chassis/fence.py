"""A fence: proof, in each reply, that Redis still has every write that it acknowledged on this connection.

Redis can go back in time: a lagging replica is promoted, an old snapshot is loaded, a REPLICAOF copies other data over.
So each connection keeps a key of its own whose number every write raises, in the same atomic script as the write's
effect. Data in which the number is lower than the last acknowledged one is older than that acknowledgement.

What another connection wrote is not covered by this one's fence: for that there is `Fence.identity`, which differs for
data that another server, another run of it or another line of replication holds.
"""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any

import hiredis

from chassis.errors import Unavailable
from chassis.redis import RedisConnection

LIFE_MS = 60_000
"""How long a fence outlives its last write; the owner writes several times a second."""

# KEYS: the new fence, the one before. Answers what the one before holds.
_OPEN = """
local held = redis.pcall('GET', KEYS[2])
redis.call('SET', KEYS[1], '0', 'PX', ARGV[1])
if type(held) == 'string' then return held end
return false
"""
# KEYS: fence, the tags to replace, the entries to delete. ARGV: the number that the fence must have reached, its new
# number, its life, how many tags, their new value, their life. Answers the number before; below the demanded one
# nothing is written, so that a command delayed on a dead connection cannot hide that the data went back.
_WRITE = """
local held = redis.call('GET', KEYS[1])
if tonumber(held or '-1') < tonumber(ARGV[1]) then return held end
local tags = tonumber(ARGV[4])
for i = 2, #KEYS do
  if i <= tags + 1 then redis.call('SET', KEYS[i], ARGV[5], 'PX', ARGV[6]) else redis.call('DEL', KEYS[i]) end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return held
"""


class Fence:
    """The fence of one connection. `lost`: the data went back; `continuous`: it had not since the fence before."""

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis
        self._connection = redis.connections
        self._sent = 0
        self.key = f"cache:fence:{secrets.token_hex(8)}"
        self.identity = ""
        self.acknowledged = 0
        self.lost = False
        self.continuous = True
        self.agreed = False
        """Whether the replicas' epoch was once that of this identity."""

    @classmethod
    async def open(cls, redis: RedisConnection, before: "Fence | None") -> "Fence":
        """A fence on the connection as it is now, after comparing the data with what the fence before had reached.

        Raises:
            Unavailable: Redis does not answer, refuses to write, or is a replica.
        """
        fence = cls(redis)
        held = await fence._command("EVAL", _OPEN, 2, fence.key, before.key if before else fence.key, LIFE_MS)
        fence.identity = await fence.current_identity()
        if before is not None:
            fence.continuous = not before.lost and before.holds(held, before.acknowledged)
        return fence

    @property
    def connected(self) -> bool:
        """Whether the connection is still the one that it was opened on."""
        return self._redis.up and self._redis.connections == self._connection

    def holds(self, number: Any, floor: int) -> bool:
        """Whether a fence as it was read has reached `floor`, and is a number that was sent at all."""
        try:
            return floor <= int(number) <= self._sent
        except (TypeError, ValueError):  # nothing there, or nothing that is a number
            return False

    async def write(self, tags: Sequence[str] = (), entries: Sequence[str] = (), life_ms: int = 1) -> None:
        """Replaces `tags` (they live for `life_ms`), deletes `entries` and raises the fence: all of it, acknowledged.

        Raises:
            Unavailable: it was not acknowledged; whether Redis did it, or will, is unknown.
        """
        self._sent += 1
        number, floor = self._sent, self.acknowledged
        keys = (self.key, *tags, *entries)
        arguments = (floor, number, LIFE_MS, len(tags), secrets.token_hex(8), life_ms)
        held = await self._command("EVAL", _WRITE, len(keys), *keys, *arguments)
        # Replies come in order: what was acknowledged since this was sent has to be there as well.
        if not self.holds(held, self.acknowledged):
            self.lost = True
            raise Unavailable("redis")
        self.acknowledged = number

    async def current_identity(self) -> str:
        """Of the data: the server's run and its line of replication.

        Raises:
            Unavailable: also where the server is a replica, whose data another server may overwrite.
        """
        server, replication = await asyncio.gather(
            self._command("INFO", "server"), self._command("INFO", "replication")
        )
        found = _fields(server) | _fields(replication)
        if found.get("role") != "master":
            raise Unavailable("redis")
        return f"{found.get('run_id', '')}:{found.get('master_replid', '')}"

    async def _command(self, *words: bytes | str | int) -> Any:
        """A refusal (a replica, no memory left, a failed disk, still loading) acknowledges nothing."""
        if not self.connected:
            raise Unavailable("redis")
        try:
            return await self._redis.command(*words)
        except hiredis.ReplyError as error:
            raise Unavailable("redis") from error


def _fields(info: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.decode("utf-8", "replace").splitlines())
    return {name: value for name, _, value in pairs}
