"""Reads: one patient, and pages of them."""

from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis.cache import Cache
from chassis.errors import FieldError, Invalid, NotFound
from chassis.paging import PageRequest, Sort, page_body
from chassis.statement import Statement
from chassis.text import like_pattern, search_words, sort_key
from chassis.transaction import Reader

from patient_service.models import patient, patient_count
from patient_service.schemas import patient_json

CACHE = "patients"

_COLUMNS: dict[str, Any] = {
    "name": patient.c.name_key,
    "email": sa.func.coalesce(patient.c.email_order, patient.c.email_key),
    "dateOfBirth": patient.c.date_of_birth,
    "registeredDate": patient.c.registered_date,
    "createdAt": patient.c.created_at,
}
SORTABLE = frozenset(_COLUMNS)
SEARCH_WORDS = 10
"""The most words of one search: each is a condition, and each number of them a statement."""

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
    """A page of patients as JSON; `search` finds the names that contain each of its words, however they are written.

    Raises:
        Invalid: the search has no letter to look for, or too many words.
    """
    words = _words(search) if search else []
    values = {f"word_{number}": like_pattern(word) for number, word in enumerate(words)}
    if search:
        values["former"] = like_pattern(sort_key(search))
    rows = await reads.fetch_all(_page(request.sort, len(words)), limit=request.size, offset=request.offset, **values)
    total = await reads.fetch_value(_counted(len(words)) if words else _TOTAL, **values)
    return page_body([patient_json(row) for row in rows], request, int(total))


def _words(search: str) -> list[str]:
    words = search_words(search)
    if not words:
        raise Invalid([FieldError("search", "must have a letter, a digit or a sign to look for")])
    if len(words) > SEARCH_WORDS:
        raise Invalid([FieldError("search", f"must have at most {SEARCH_WORDS} words")])
    return words


@cache
def _page(sort: Sequence[Sort], words: int) -> Statement:
    """The statement of one shape: ids are found in an index alone, then the page's rows are read from the table."""
    ids = sa.select(patient.c.id).order_by(*_order(sort)).limit(sa.bindparam("limit")).offset(sa.bindparam("offset"))
    if words:
        ids = ids.where(_found(words))
    page = ids.subquery("page")
    return Statement(sa.select(patient).join(page, patient.c.id == page.c.id).order_by(*_order(sort)))


@cache
def _counted(words: int) -> Statement:
    return Statement(sa.select(sa.func.count()).select_from(patient).where(_found(words)))


def _found(words: int) -> sa.ColumnElement[bool]:
    """Every word is in the name; a row that has no keys for that yet is found as the release before found it."""
    every = sa.and_(*(_like(patient.c.name_search, f"word_{number}") for number in range(words)))
    return sa.or_(every, patient.c.keyed_version.is_(None) & _like(patient.c.name_key, "former"))


def _like(column: Any, name: str) -> Any:
    return column.like(sa.bindparam(name, type_=sa.Text), escape="\\")


def _order(sort: Sequence[Sort]) -> list[Any]:
    """Ends in the id, in the direction of the first field: one index serves both directions."""
    order = [_directed(_COLUMNS[each.field], each.descending) for each in sort]
    return [*order, _directed(patient.c.id, bool(sort) and sort[0].descending)]


def _directed(column: Any, descending: bool) -> Any:
    return sa.desc(column) if descending else sa.asc(column)
