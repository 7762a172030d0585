"""The shards of the outbox, shared evenly by the relays that are alive.

Everything is said by advisory locks of the relay's own connection, so that a relay that dies is forgotten with it. Each
holds one lock in common with the others, by which they are counted, and one alone for each of its shards. Nobody takes
more than its share; who has more, because another came, gives the surplus back between two passes.
"""

import time
from typing import Any

SHARDS = 8
CLAIM_SECONDS = 2.0
LOCK_CLASS = 0x0B0C
PRESENT = -1

_ANNOUNCE = "SELECT pg_advisory_lock_shared($1::int, $2::int)"
_TAKE = "SELECT pg_try_advisory_lock($1::int, $2::int)"
_GIVE = "SELECT pg_advisory_unlock($1::int, $2::int)"
# pg_locks shows the two numbers of a lock as oids, which have no sign; objsubid 2 means that there were two.
_COUNT = """
    SELECT count(*) FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND classid::bigint = $1 AND objid::bigint = $2 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Shards:
    """What one relay owns, for as long as this connection lives."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._looked = float("-inf")
        self._announced = False
        self.owned: set[int] = set()

    async def settle(self) -> None:
        """From time to time: gives back what is more than our share, takes what is free up to it.

        Call it while nothing of ours is on its way: who takes a shard next begins with its oldest row.
        """
        if time.monotonic() - self._looked < CLAIM_SECONDS:
            return
        share = await self._share()
        for shard in sorted(self.owned)[share:]:
            await self._connection.fetchval(_GIVE, LOCK_CLASS, shard)
            self.owned.discard(shard)
        for shard in sorted(set(range(SHARDS)) - self.owned):
            if len(self.owned) == share:
                break
            if await self._connection.fetchval(_TAKE, LOCK_CLASS, shard):
                self.owned.add(shard)
        self._looked = time.monotonic()

    async def _share(self) -> int:
        """Shards divided by relays, rounded up."""
        if not self._announced:
            await self._connection.execute(_ANNOUNCE, LOCK_CLASS, PRESENT)
            self._announced = True
        relays: int = await self._connection.fetchval(_COUNT, LOCK_CLASS, PRESENT & 0xFFFFFFFF)
        return -(-SHARDS // max(1, relays))
