"""Reads: one patient, and pages of them."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from chassis.cache import Cache
from chassis.db import Database
from chassis.errors import FieldError, Invalid, NotFound
from chassis.listing import Filters, Listing
from chassis.paging import PageRequest, page_body
from chassis.statement import Statement
from chassis.text import email_identity, like_pattern, search_words, sort_key
from chassis.transaction import Reader

from patient_service.keys import DISPLACED
from patient_service.models import PHONE_DIGITS, BillingStatus, digits, patient, patient_count
from patient_service.schemas import patient_json

CACHE = "patients"

SEARCH_WORDS = 10
"""The most words of one search: each is a condition, and each number of them a statement."""

_SORTABLE: dict[str, Any] = {
    "name": patient.c.name_key,
    "email": sa.func.coalesce(patient.c.email_order, patient.c.email_key),
    "dateOfBirth": patient.c.date_of_birth,
    "registeredDate": patient.c.registered_date,
    "createdAt": patient.c.created_at,
}
SORTABLE = frozenset(_SORTABLE)


def _found(words: int) -> sa.ColumnElement[bool]:
    """Every word is in the name; a row that has no keys for that yet is found as the release before found it."""
    every = sa.and_(*(_like(patient.c.name_search, f"word_{number}") for number in range(words)))
    return sa.or_(every, patient.c.keyed_version.is_(None) & _like(patient.c.name_key, "former"))


def _like(column: Any, name: str) -> Any:
    return column.like(sa.bindparam(name, type_=sa.Text), escape="\\")


_BY_ID = Statement(sa.select(patient).where(patient.c.id == sa.bindparam("id")))
PATIENTS = Listing(
    patient,
    shown=list(patient.c),
    source=patient,
    sortable=_SORTABLE,
    conditions={
        # Behind the identity and DISPLACED stands the id of a row whose address an older row has, too.
        "email": sa.or_(
            patient.c.email_key == sa.bindparam("email"),
            sa.and_(patient.c.email_key > sa.bindparam("displaced"), patient.c.email_key < sa.bindparam("beyond")),
        ),
        "phone": sa.literal_column(PHONE_DIGITS, sa.Text) == sa.bindparam("digits"),
        "dateOfBirth": patient.c.date_of_birth == sa.bindparam("date_of_birth"),
        "billingStatus": patient.c.billing_status == sa.bindparam("billing_status"),
        **{f"search:{words}": _found(words) for words in range(1, SEARCH_WORDS + 1)},
    },
    total=Statement(sa.select(sa.func.coalesce(sa.func.sum(patient_count.c.total), 0).cast(sa.BigInteger))),
)


@dataclass(frozen=True, slots=True)
class PatientFilters:
    """Which patients a list has; None lets all through.

    Raises:
        Invalid: nothing can be found by what is given.
    """

    search: str | None = None
    email: str | None = None
    phone: str | None = None
    date_of_birth: date | None = None
    billing_status: BillingStatus | None = None

    @property
    def bound(self) -> Filters:
        """What the conditions bind."""
        found: dict[str, dict[str, Any]] = {}
        if self.search is not None:
            words = _words(self.search)
            values = {f"word_{number}": like_pattern(word) for number, word in enumerate(words)}
            found[f"search:{len(words)}"] = values | {"former": like_pattern(sort_key(self.search))}
        if self.email is not None:
            identity = email_identity(self.email)
            after = chr(ord(DISPLACED) + 1)
            found["email"] = {"email": identity, "displaced": identity + DISPLACED, "beyond": identity + after}
        if self.phone is not None:
            found["phone"] = {"digits": _digits(self.phone)}
        if self.date_of_birth is not None:
            found["dateOfBirth"] = {"date_of_birth": self.date_of_birth}
        if self.billing_status is not None:
            found["billingStatus"] = {"billing_status": self.billing_status}
        return found


def _words(search: str) -> list[str]:
    words = search_words(search)
    if not words:
        raise Invalid([FieldError("search", "must have a letter, a digit or a sign to look for")])
    if len(words) > SEARCH_WORDS:
        raise Invalid([FieldError("search", f"must have at most {SEARCH_WORDS} words")])
    return words


def _digits(phone: str) -> str:
    found = digits(phone)
    if not found:
        raise Invalid([FieldError("phone", "must have a digit to look for")])
    return found


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


async def list_patients(reads: Database, request: PageRequest, filters: PatientFilters) -> bytes:
    """A page of patients as JSON, past the cache: what is asked for may name a person.

    Raises:
        Invalid: nothing can be found by what is given.
    """
    rows, total = await PATIENTS.read(reads, request, filters.bound)
    return page_body([patient_json(row) for row in rows], request, total)
