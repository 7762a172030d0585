"""Reads: one patient, and pages of them."""

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis.cache import Cache
from chassis.errors import NotFound
from chassis.paging import PageRequest, Sort, page_body
from chassis.statement import Statement
from chassis.text import like_pattern
from chassis.transaction import Reader

from patient_service.models import patient, patient_count
from patient_service.schemas import patient_json

CACHE = "patients"

_COLUMNS: dict[str, Any] = {
    "name": patient.c.name_key,
    "email": patient.c.email_key,
    "dateOfBirth": patient.c.date_of_birth,
    "registeredDate": patient.c.registered_date,
    "createdAt": patient.c.created_at,
}
SORTABLE = frozenset(_COLUMNS)

_BY_ID = Statement(sa.select(patient).where(patient.c.id == sa.bindparam("id")))
_TOTAL = Statement(sa.select(sa.func.coalesce(sa.func.sum(patient_count.c.total), 0).cast(sa.BigInteger)))


async def one_patient(reads: Reader, cache: Cache, id: UUID) -> tuple[int, bytes]:
    """One patient's version and JSON, through the cache.

    Raises:
        NotFound: there is none of that id.
    """

    async def fill() -> bytes | None:
        row = await reads.fetch_one(_BY_ID, id=id)
        # The version stands before the JSON, so that the ETag needs no parsing.
        return None if row is None else b"%d\n%b" % (row["version"], patient_json(row))

    entry = await cache.get_or_fill(CACHE, "{id}", str(id), fill)
    if entry is None:
        raise NotFound("patient")
    version, _, body = entry.partition(b"\n")
    return int(version), body


async def list_patients(reads: Reader, request: PageRequest, search: str | None) -> bytes:
    """A page of patients as JSON; `search` finds by part of the name, ignoring case."""
    values = {"pattern": like_pattern(search)} if search else {}
    rows = await reads.fetch_all(_page(request.sort, bool(search)), limit=request.size, offset=request.offset, **values)
    total = await reads.fetch_value(_counted(), **values) if search else await reads.fetch_value(_TOTAL)
    return page_body([patient_json(row) for row in rows], request, int(total))


@cache
def _page(sort: Sequence[Sort], searched: bool) -> Statement:
    """The statement of one shape: ids are found in an index alone, then the page's rows are read from the table."""
    ids = sa.select(patient.c.id).order_by(*_order(sort)).limit(sa.bindparam("limit")).offset(sa.bindparam("offset"))
    if searched:
        ids = ids.where(_found())
    page = ids.subquery("page")
    return Statement(sa.select(patient).join(page, patient.c.id == page.c.id).order_by(*_order(sort)))


@cache
def _counted() -> Statement:
    return Statement(sa.select(sa.func.count()).select_from(patient).where(_found()))


def _found() -> Any:
    return patient.c.name_key.like(sa.bindparam("pattern", type_=sa.Text), escape="\\")


def _order(sort: Sequence[Sort]) -> list[Any]:
    """Ends in the id, in the direction of the first field: one index serves both directions."""
    order = [_directed(_COLUMNS[each.field], each.descending) for each in sort]
    return [*order, _directed(patient.c.id, bool(sort) and sort[0].descending)]


def _directed(column: Any, descending: bool) -> Any:
    return sa.desc(column) if descending else sa.asc(column)
