"""Lists: a page of rows and their number, for any filters in any order.

A statement is compiled for each shape (which filters, and the order) and kept. There are thousands of orders, so the
shapes kept are bounded: one that was not used lately is compiled anew, in about a millisecond.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from chassis.db import Database
from chassis.paging import PageRequest, Sort
from chassis.statement import Statement

SHAPES = 512
"""Statements kept of pages, and of counts."""

Filters = Mapping[str, Mapping[str, Any]]
"""By the name of each filter that is asked for, what its condition binds."""


class Listing:
    """The list of a table with an `id`.

    `shown`: the columns of a row, taken from `source`, which is the table or a join of it with others that changes no
    row's number. `sortable`: a column for each field on the wire. `conditions`: an expression for each filter.
    `total`: a statement that knows the number of all rows.
    """

    def __init__(
        self,
        table: sa.Table,
        *,
        shown: Sequence[Any],
        source: Any,
        sortable: Mapping[str, Any],
        conditions: Mapping[str, Any],
        total: Statement,
    ) -> None:
        self._table = table
        self._shown = shown
        self._source = source
        self._sortable = sortable
        self._conditions = conditions
        self._total = total
        self.page = lru_cache(SHAPES)(self._page)
        self.count = lru_cache(SHAPES)(self._count)

    async def read(self, reads: Database, request: PageRequest, filters: Filters) -> tuple[list[Any], int]:
        """The page's rows and the number of all that the filters let through, read at the same time."""
        shape = tuple(sorted(filters))
        values = {name: value for bound in filters.values() for name, value in bound.items()}
        rows, total = await asyncio.gather(
            reads.fetch_all(self.page(request.sort, shape), limit=request.size, offset=request.offset, **values),
            reads.fetch_value(self.count(shape), **values),
        )
        return list(rows), int(total)

    def _page(self, sort: Sequence[Sort], filters: Sequence[str]) -> Statement:
        """Ids are found in an index alone where there is one, then the page's rows are read."""
        order = self._order(sort)
        beside = any(getattr(self._sortable[each.field], "table", self._table) is not self._table for each in sort)
        ids = sa.select(self._table.c.id).select_from(self._source if beside else self._table)
        ids = ids.where(*self._where(filters)).order_by(*order)
        page = ids.limit(sa.bindparam("limit")).offset(sa.bindparam("offset")).subquery("page")
        rows = sa.select(*self._shown).select_from(self._source.join(page, self._table.c.id == page.c.id))
        return Statement(rows.order_by(*order))

    def _count(self, filters: Sequence[str]) -> Statement:
        if not filters:
            return self._total
        return Statement(sa.select(sa.func.count()).select_from(self._table).where(*self._where(filters)))

    def _where(self, filters: Sequence[str]) -> list[Any]:
        return [self._conditions[name] for name in filters]

    def _order(self, sort: Sequence[Sort]) -> list[Any]:
        """Ends in the id, in the direction of the first field: one index serves both directions."""
        order = [_directed(self._sortable[each.field], each.descending) for each in sort]
        return [*order, _directed(self._table.c.id, bool(sort) and sort[0].descending)]


def _directed(column: Any, descending: bool) -> Any:
    return sa.desc(column) if descending else sa.asc(column)
