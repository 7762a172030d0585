"""Pages and sorting, the same for every list: `page` from 0, `size` 1–100, `sort=name,asc` as often as wanted."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Query
from pydantic import BeforeValidator, Field

from chassis.errors import FieldError, Invalid

_NUMBER = re.compile(r"-?[0-9]+")

DEFAULT_SIZE = 20
LARGEST_SIZE = 100
LAST_ROW = 10_000_000


def _digits(text: object) -> object:
    # pydantic also takes 1_0, 1.0 and blanks around a number
    if isinstance(text, str) and not _NUMBER.fullmatch(text):
        raise ValueError("must be a whole number")
    return text


Page = Annotated[int, Field(ge=0), BeforeValidator(_digits)]
Size = Annotated[int, Field(ge=1, le=LARGEST_SIZE), BeforeValidator(_digits)]


@dataclass(frozen=True, slots=True)
class Sort:
    """One field to sort by, under its name on the wire."""

    field: str
    descending: bool

    def __str__(self) -> str:
        return f"{self.field},{'desc' if self.descending else 'asc'}"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What was asked for; `sort` is empty when nothing was."""

    page: int
    size: int
    sort: tuple[Sort, ...]

    @property
    def offset(self) -> int:
        """Rows before the page."""
        return self.page * self.size

    @property
    def key(self) -> str:
        """The request as text, the same for the same page."""
        return f"{self.page}:{self.size}:{';'.join(map(str, self.sort))}"


class Paging:
    """`Depends(Paging({"name", "email"}))`: reads and checks a list's parameters.

    Raises:
        Invalid: a number out of range, or a field that cannot be sorted by.
    """

    def __init__(self, sortable: Collection[str]) -> None:
        self._sortable = frozenset(sortable)

    async def __call__(
        self,
        page: Annotated[Page, Query()] = 0,
        size: Annotated[Size, Query()] = DEFAULT_SIZE,
        sort: Annotated[list[str] | None, Query(description="field, or field,asc or field,desc", max_length=8)] = None,
    ) -> PageRequest:
        """The checked request."""
        if page * size > LAST_ROW:
            raise Invalid([FieldError("page", f"must stay within {LAST_ROW} rows")])
        sorts = tuple(self._sort(text) for text in sort or ())
        if len({each.field for each in sorts}) != len(sorts):
            raise Invalid([FieldError("sort", "names a field twice")])
        return PageRequest(page, size, sorts)

    def _sort(self, text: str) -> Sort:
        field, _, direction = text.partition(",")
        if field not in self._sortable:
            raise Invalid([FieldError("sort", f"can be {', '.join(sorted(self._sortable))}")])
        if direction.lower() not in ("", "asc", "desc"):
            raise Invalid([FieldError("sort", "goes asc or desc")])
        return Sort(field, direction.lower() == "desc")


def page_body(content: Sequence[Any], request: PageRequest, total: int) -> bytes:
    """A page as JSON: exactly content, page, size, totalElements, totalPages, sort, hasNext, hasPrevious.

    Rows that are bytes stand as they are; others become JSON here, and a time without a zone becomes UTC.
    """
    pages = -(-total // request.size)
    body = {
        "content": [orjson.Fragment(row) if isinstance(row, bytes) else row for row in content],
        "page": request.page,
        "size": request.size,
        "totalElements": total,
        "totalPages": pages,
        "sort": [str(sort) for sort in request.sort],
        "hasNext": request.page + 1 < pages,
        "hasPrevious": request.page > 0,
    }
    return orjson.dumps(body, option=orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z)
