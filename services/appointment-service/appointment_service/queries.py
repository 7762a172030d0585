"""Reads: an appointment with its patient, and pages of them, each in one join over local tables."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache as remembered
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis.cache import Cache
from chassis.db import Database
from chassis.errors import FieldError, Invalid, NotFound
from chassis.paging import PageRequest, Sort, page_body
from chassis.statement import Statement
from chassis.transaction import Reader

from appointment_service.models import appointment, appointment_count, cached_patient
from appointment_service.schemas import appointment_json, appointment_view

CACHE = "appointments"
LONGEST_SPAN = timedelta(days=92)

_COLUMNS: dict[str, Any] = {
    "startTime": appointment.c.start_time,
    "endTime": appointment.c.end_time,
    "status": appointment.c.status,
    "createdAt": appointment.c.created_at,
    "patientName": cached_patient.c.name_key,
}
SORTABLE = frozenset(_COLUMNS)

_PATIENT = [
    cached_patient.c[name].label(f"patient_{name}") for name in ("name", "email", "phone", "address", "updated_at")
]
# Ids leave as text: that is what becomes of them, and the driver reads text faster.
_IDS = ("id", "patient_id")
_COLUMNS_READ = [
    sa.cast(column, sa.Text).label(column.name) if column.name in _IDS else column
    for column in appointment.c
    if column is not appointment.c.patient_version
]
_VERSIONS = (appointment.c.patient_version, cached_patient.c.version.label("shown_version"))
_JOIN = appointment.outerjoin(cached_patient, cached_patient.c.patient_id == appointment.c.patient_id)
_BY_ID = Statement(
    sa.select(*_COLUMNS_READ, *_PATIENT, *_VERSIONS).select_from(_JOIN).where(appointment.c.id == sa.bindparam("id"))
)
_TOTAL = Statement(sa.select(sa.func.coalesce(sa.func.sum(appointment_count.c.total), 0).cast(sa.BigInteger)))


@dataclass(frozen=True, slots=True)
class Span:
    """Start times from … to, both inclusive, either may be open.

    Raises:
        Invalid: the end is before the beginning, or they are more than 92 days apart.
    """

    since: datetime | None
    until: datetime | None

    def __post_init__(self) -> None:
        """Checks."""
        if self.since is not None and self.until is not None:
            if self.until < self.since:
                raise Invalid([FieldError("to", "must not be before from")])
            if self.until - self.since > LONGEST_SPAN:
                raise Invalid([FieldError("to", f"must be within {LONGEST_SPAN.days} days of from")])

    @property
    def values(self) -> dict[str, datetime]:
        """What the statement binds."""
        pairs = {"since": self.since, "until": self.until}
        return {name: value for name, value in pairs.items() if value is not None}


async def one_appointment(reads: Reader, cache: Cache, id: UUID) -> tuple[str, bytes]:
    """One appointment's entity tag and JSON, through the cache.

    Raises:
        NotFound: there is none of that id.
    """

    async def fill() -> bytes | None:
        row = await reads.fetch_one(_BY_ID, id=id)
        # The tag stands before the JSON, so that it needs no parsing.
        return None if row is None else b"%b\n%b" % (entity_tag(row).encode(), appointment_json(row))

    # Under the generation, because a patient's new name changes many appointments at once.
    entry = await cache.get_or_fill_list(CACHE, "{id}", f"tagged:{id}", fill)
    if entry is None:
        raise NotFound("appointment")
    tag, _, body = entry.partition(b"\n")
    return tag.decode(), body


async def fresh_appointment(reads: Reader, id: UUID) -> tuple[str, bytes]:
    """The entity tag and the JSON as the transaction sees them, past the cache."""
    row = await reads.fetch_one(_BY_ID, id=id)
    if row is None:
        raise NotFound("appointment")
    return entity_tag(row), appointment_json(row)


def entity_tag(row: Any) -> str:
    """The version, and behind a dot that of the patient if it has changed since: what is shown decides (ADR 10)."""
    version, shown = row["version"], row["shown_version"]
    return f"{version}" if shown == row["patient_version"] else f"{version}.{shown}"


async def list_appointments(reads: Database, cache: Cache, request: PageRequest, span: Span) -> bytes:
    """A page as JSON, through the cache; its rows and their total are read at the same time."""

    async def fill() -> bytes:
        names = tuple(span.values)
        rows, total = await asyncio.gather(
            reads.fetch_all(_page(request.sort, names), limit=request.size, offset=request.offset, **span.values),
            reads.fetch_value(_counted(names), **span.values),
        )
        return page_body([appointment_view(row) for row in rows], request, int(total))

    page = await cache.get_or_fill_list(CACHE, "list", f"{span.since}:{span.until}:{request.key}", fill)
    assert page is not None  # noqa: S101 - fill never answers None
    return page


@remembered
def _page(sort: Sequence[Sort], bounds: Sequence[str]) -> Statement:
    """The statement of one shape: ids are found in an index, then the page's rows are read and joined."""
    by_name = any(each.field == "patientName" for each in sort)
    ids = sa.select(appointment.c.id).select_from(_JOIN if by_name else appointment)
    ids = (
        ids.where(*_within(bounds)).order_by(*_order(sort)).limit(sa.bindparam("limit")).offset(sa.bindparam("offset"))
    )
    page = ids.subquery("page")
    rows = sa.select(*_COLUMNS_READ, *_PATIENT).select_from(_JOIN.join(page, appointment.c.id == page.c.id))
    return Statement(rows.order_by(*_order(sort)))


@remembered
def _counted(bounds: Sequence[str]) -> Statement:
    if not bounds:
        return _TOTAL
    return Statement(sa.select(sa.func.count()).select_from(appointment).where(*_within(bounds)))


def _within(bounds: Sequence[str]) -> list[Any]:
    start = appointment.c.start_time
    edges = {"since": start >= sa.bindparam("since"), "until": start <= sa.bindparam("until")}
    return [edges[bound] for bound in bounds]


def _order(sort: Sequence[Sort]) -> list[Any]:
    """Ends in the id, in the direction of the first field: one index serves both directions."""
    order = [_directed(_COLUMNS[each.field], each.descending) for each in sort]
    return [*order, _directed(appointment.c.id, bool(sort) and sort[0].descending)]


def _directed(column: Any, descending: bool) -> Any:
    return sa.desc(column) if descending else sa.asc(column)
