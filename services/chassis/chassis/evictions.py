"""What the database knows about the cache: evictions that Redis has not acknowledged, and the epoch of its entries.

A change records its eviction in its own statement, so that a process killed after the commit leaves the eviction behind
(ADR 13). The record is deleted once Redis has acknowledged; whichever replica sees an old one sends it again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from prometheus_client import Gauge
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import Field, SQLModel

from chassis.statement import Statement
from chassis.transaction import Reader

PENDING = Gauge("cache_evictions_pending", "Evictions that Redis has not acknowledged; their entries are not read")

LISTS = ""
"""The key that stands for every list of a cache."""

BATCH = 500
"""Records that one look reads; more than that and a new epoch is cheaper."""


class CacheEviction(SQLModel, table=True):
    """An eviction that Redis may not have acknowledged: of entries by their keys, or of all lists (LISTS)."""

    __tablename__ = "cache_eviction"

    id: int | None = Field(default=None, sa_column=sa.Column(sa.BigInteger, sa.Identity(), primary_key=True))
    cache: str = Field(sa_column=sa.Column(sa.String(64), nullable=False))
    entry_keys: list[str] = Field(sa_column=sa.Column(ARRAY(sa.Text), nullable=False))
    created_at: datetime = Field(
        sa_column=sa.Column(sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
    )


class CacheEpoch(SQLModel, table=True):
    """One row: whose data the replicas trust (`identity`, of a Redis server) and what its entries' names contain."""

    __tablename__ = "cache_epoch"

    id: int = Field(sa_column=sa.Column(sa.SmallInteger, primary_key=True, autoincrement=False))
    identity: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    epoch: str = Field(sa_column=sa.Column(sa.String(32), nullable=False))


TABLES = (CacheEviction, CacheEpoch)
RECORD = "eviction_id"
"""The column that `recorded` adds."""


@dataclass(frozen=True, slots=True, eq=False)
class Eviction:
    """`keys` of a cache that became invalid; `record` is the row that says so, None where nothing is recorded."""

    cache: str
    keys: tuple[str, ...]
    record: int | None = None


class Pending:
    """A process's evictions that Redis has not acknowledged yet, and the records of those that it has.

    `keys`: (cache, key) of each, which must not be read; `settled`: records that can be deleted.
    """

    def __init__(self) -> None:
        self.evictions: tuple[Eviction, ...] = ()
        self.keys: set[tuple[str, str]] = set()
        self.settled: set[int] = set()

    @property
    def records(self) -> set[int | None]:
        """The records that are known here already."""
        return {each.record for each in self.evictions} | self.settled

    def add(self, eviction: Eviction) -> bool:
        """Whether it could be remembered: there is a limit, and a new epoch is cheaper than so many."""
        if len(self.keys) >= BATCH or len(self.evictions) >= BATCH:
            return False
        self.evictions = (*self.evictions, eviction)
        self.keys.update((eviction.cache, key) for key in eviction.keys)
        PENDING.set(len(self.evictions))
        return True

    def take_over(self, found: Sequence[Eviction]) -> bool:
        """Adds what was read from the records and is not known yet; whether that is all that there is."""
        known = self.records
        return all(self.add(each) for each in found if each.record not in known) and len(found) < BATCH

    def settle(self, *evictions: Eviction) -> None:
        """These are done with."""
        self.settled.update(each.record for each in evictions if each.record is not None)
        if self.evictions:
            done = set(evictions)
            self.evictions = tuple(each for each in self.evictions if each not in done)
            self.keys = {(each.cache, key) for each in self.evictions for key in each.keys}
            PENDING.set(len(self.evictions))


def recorded(change: Any, cache: str, key: str | None = None) -> sa.Select[Any]:
    """The INSERT, UPDATE or DELETE `change`, and one record of the eviction for all of its rows, in one statement.

    `change` has RETURNING; `key` names the returned column that holds the key of an entry, None evicts all lists.
    Answers the returned rows, each with the record's id as `eviction_id`; a change of nothing records nothing.
    """
    changed = change.cte("changed")
    keys: Any = sa.literal_column(f"ARRAY['{LISTS}']")
    if key is not None:
        keys = sa.func.array_agg(sa.cast(changed.c[key], sa.Text))
    name: Any = sa.literal_column(f"'{cache}'")
    row = sa.select(name, keys).select_from(changed).having(sa.func.count() > 0)
    eviction = _table(CacheEviction)
    record = sa.insert(eviction).from_select(["cache", "entry_keys"], row).returning(eviction.c.id).cte("evicted")
    return sa.select(*changed.c, record.c.id.label(RECORD)).select_from(changed.join(record, sa.true()))


def _table(model: type[SQLModel]) -> sa.Table:
    return cast(sa.Table, model.__table__)  # type: ignore[attr-defined]  # every table class has one


_eviction, _epoch = _table(CacheEviction), _table(CacheEpoch)
_RECORD = Statement(
    sa.insert(_eviction).values(cache=sa.bindparam("cache"), entry_keys=sa.bindparam("keys")).returning(_eviction.c.id)
)
_FORGET = Statement(
    sa.delete(_eviction).where(_eviction.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.BigInteger))))
)
_OLD = Statement(
    sa.select(_eviction.c.id, _eviction.c.cache, _eviction.c.entry_keys)
    .where(_eviction.c.created_at < sa.func.now() - sa.bindparam("age", type_=sa.Interval))
    .order_by(_eviction.c.id)
    .limit(sa.bindparam("limit"))
)
_CURRENT = Statement(sa.select(_epoch.c.identity, _epoch.c.epoch))
# A new epoch makes every recorded eviction moot: its entries are filled by reads that see what those changes wrote.
_values: dict[str, Any] = {"identity": sa.bindparam("of"), "epoch": sa.bindparam("new")}
_REPLACE = Statement(
    upsert(_epoch)
    .values(id=sa.literal_column("1"), **_values)
    .on_conflict_do_update(index_elements=["id"], set_=_values)
    .add_cte(sa.delete(_eviction).cte("moot"))
)


class Evictions:
    """The two tables, read and written outside of any request's transaction.

    Raises:
        Unavailable and what the driver raises, from every method.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def record(self, cache: str, keys: Sequence[str]) -> int:
        """Writes a record after the fact; its id."""
        return int(await self._reader.fetch_value(_RECORD, cache=cache, keys=list(keys)))

    async def forget(self, records: Iterable[int]) -> None:
        """Deletes records: Redis has acknowledged them."""
        await self._reader.execute(_FORGET, ids=list(records))

    async def older_than(self, seconds: float) -> list[Eviction]:
        """At most BATCH recorded evictions whose transaction began before that, oldest first."""
        rows = await self._reader.fetch_all(_OLD, age=timedelta(seconds=seconds), limit=BATCH)
        return [Eviction(row["cache"], tuple(row["entry_keys"]), row["id"]) for row in rows]

    async def epoch(self) -> tuple[str, str]:
        """(identity of the Redis server's data, epoch) on which the replicas agree; empty before the first."""
        row = await self._reader.fetch_one(_CURRENT)
        return (row["identity"], row["epoch"]) if row is not None else ("", "")

    async def forget_epoch(self) -> None:
        """Has the replicas begin a new one, because the database's own rows were replaced: by a restore."""
        await self.replace_epoch("", "")

    async def replace_epoch(self, identity: str, epoch: str) -> None:
        """Makes every entry invalid for every replica, at their next look."""
        await self._reader.execute(_REPLACE, of=identity, new=epoch)
