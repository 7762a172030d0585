"""Reads: an appointment with its patient, and pages of them, each in one join over local tables."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis.cache import Cache
from chassis.db import Database
from chassis.errors import FieldError, Invalid, NotFound
from chassis.listing import Filters, Listing
from chassis.paging import PageRequest, page_body
from chassis.statement import Statement
from chassis.transaction import Reader

from appointment_service.models import LONGEST_SQL, Status, appointment, appointment_count, cached_patient
from appointment_service.schemas import appointment_json, appointment_view
from appointment_service.times import LONGEST_SPAN, Moment, Overlap

CACHE = "appointments"

_SORTABLE: dict[str, Any] = {
    "startTime": appointment.c.start_time,
    "endTime": appointment.c.end_time,
    "status": appointment.c.status,
    "createdAt": appointment.c.created_at,
    "patientName": cached_patient.c.name_key,
}
SORTABLE = frozenset(_SORTABLE)

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
_start, _end = appointment.c.start_time, appointment.c.end_time
_overlap_begin, _overlap_end = (
    sa.bindparam("overlap_begin", type_=sa.DateTime),
    sa.bindparam("overlap_end", type_=sa.DateTime),
)
APPOINTMENTS = Listing(
    appointment,
    shown=[*_COLUMNS_READ, *_PATIENT],
    source=_JOIN,
    sortable=_SORTABLE,
    conditions={
        "patientId": appointment.c.patient_id == sa.bindparam("patient_id"),
        "status": appointment.c.status == sa.any_(sa.bindparam("statuses", type_=sa.ARRAY(sa.Text))),
        "from": _start >= sa.bindparam("since"),
        "to": _start < sa.bindparam("until"),
        # What lasts LONGEST at most and overlaps begins less than that before the stretch: a range of one index. What
        # lasts longer, from before there was a limit, has an index of its own.
        "overlaps": sa.and_(
            _start < _overlap_end,
            _end > _overlap_begin,
            sa.or_(_start > _overlap_begin - LONGEST_SQL, _end - _start > LONGEST_SQL),
        ),
    },
    total=Statement(sa.select(sa.func.coalesce(sa.func.sum(appointment_count.c.total), 0).cast(sa.BigInteger))),
)


@dataclass(frozen=True, slots=True)
class AppointmentFilters:
    """Which appointments a list has; None lets all through.

    Raises:
        Invalid: `until` is before `since`, they are more than 92 days apart, or one stands beside `overlaps`.
    """

    patient_id: UUID | None = None
    statuses: frozenset[Status] | None = None
    since: Moment | None = None
    until: Moment | None = None
    overlaps: Overlap | None = None

    def __post_init__(self) -> None:
        """Checks."""
        if self.overlaps is not None and (self.since is not None or self.until is not None):
            raise Invalid([FieldError("overlaps", "must not be given together with from or to")])
        if self.since is not None and self.until is not None:
            if self.until.end <= self.since.begin:
                raise Invalid([FieldError("to", "must not be before from")])
            if self.until.begin - self.since.begin > LONGEST_SPAN:
                raise Invalid([FieldError("to", f"must be within {LONGEST_SPAN.days} days of from")])

    @property
    def bound(self) -> Filters:
        """What the conditions bind."""
        found: dict[str, dict[str, Any]] = {}
        if self.patient_id is not None:
            found["patientId"] = {"patient_id": self.patient_id}
        if self.statuses is not None:
            found["status"] = {"statuses": sorted(self.statuses)}
        if self.since is not None:
            found["from"] = {"since": self.since.begin}
        if self.until is not None:
            found["to"] = {"until": self.until.end}
        if self.overlaps is not None:
            found["overlaps"] = {"overlap_begin": self.overlaps.begin, "overlap_end": self.overlaps.end}
        return found


async def one_appointment(reads: Reader, cache: Cache, id: UUID) -> tuple[str, bytes]:
    """One appointment's entity tag and JSON, through the cache.

    Raises:
        NotFound: there is none of that id.
    """

    async def fill() -> bytes | None:
        row = await reads.fetch_one(_BY_ID, id=id)
        # The tag stands before the JSON, so that it needs no parsing.
        return None if row is None else b"%b\n%b" % (_tag(row).encode(), appointment_json(row))

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
    return _tag(row), appointment_json(row)


def _tag(row: Any) -> str:
    """The version, and behind a dot that of the patient if it has changed since: what is shown decides (ADR 10)."""
    version, shown = row["version"], row["shown_version"]
    return f"{version}" if shown == row["patient_version"] else f"{version}.{shown}"


async def list_appointments(reads: Database, cache: Cache, request: PageRequest, filters: AppointmentFilters) -> bytes:
    """A page as JSON, through the cache."""
    bound = filters.bound

    async def fill() -> bytes:
        rows, total = await APPOINTMENTS.read(reads, request, bound)
        return page_body([appointment_view(row) for row in rows], request, total)

    page = await cache.get_or_fill_list(CACHE, "list", f"{_key(bound)}:{request.key}", fill)
    assert page is not None  # noqa: S101 - fill never answers None
    return page


def _key(bound: Filters) -> str:
    """The same for the same filters; it names a patient by its id at most."""
    values = (f"{name}={value}" for each in bound.values() for name, value in each.items())
    return ";".join(values)
