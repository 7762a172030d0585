"""Filters of the list: each, and all together, in every order, against a plain scan of the same rows."""

import itertools
import os
import random
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import httpx2 as httpx
import pytest
from chassis.testing import serve, token
from chassis.text import email_identity, search_key, search_words
from hypothesis import given, settings
from hypothesis import strategies as st
from patient_service.keys import DISPLACED, keys_of
from patient_service.main import create_app
from patient_service.models import PHONE_DIGITS, digits
from patient_service.queries import PATIENTS, PatientFilters
from patient_service.settings import Settings

SEED = int(os.environ.get("FILTERS_SEED", "20261129"))
ROWS = 400
NAMES = ("Ann Lee", "ann lee", "Zoë Müller", "İpek O’Brien", "Anne-Marie Lee", "100% Lee", "王 Wang")
ADDRESSES = (
    "ann@example.com",
    "Ann@Example.com",
    "zoe@faß.de",
    "zoe@fass.de",
    "a.b+c@bücher.de",
    "x@xn--bcher-kva.de",
    "",
)
PHONES = ("+1 555 0100", "+1-555-0100", "(1) 555 01 00", "٠١٥٥٥", "015 55", "０１５５５", "call me", "1555010", None)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
Row = dict[str, Any]


class World:
    """Random rows in the database, and the same rows here."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        taken: set[str] = set()
        self.rows = [self._row(taken) for _ in range(ROWS)]

    def _row(self, taken: set[str]) -> Row:
        chance = self.chance
        id, name = uuid.UUID(int=chance.getrandbits(128), version=4), chance.choice(NAMES)
        email = chance.choice(ADDRESSES)
        if email and chance.random() < 0.7:
            email = f"{chance.randrange(9)}{email}"
        keys = keys_of(name, email)
        if keys["email_key"] in taken:  # an older row has the address
            keys["email_key"] = f"{keys['email_key']}{DISPLACED}{id}"
        taken.add(keys["email_key"] or "")
        made = EPOCH + timedelta(days=chance.randrange(5))
        return {
            "id": id,
            "name": name,
            "email": email,
            **keys,
            "phone": chance.choice(PHONES),
            "address": "123 Main St",
            "date_of_birth": date(1990, 1, 1) + timedelta(days=chance.randrange(6)),
            "registered_date": date(2026, 1, 1) + timedelta(days=chance.randrange(3)),
            "billing_status": chance.choice(("PENDING", "ACTIVE")),
            "billing_requested_at": EPOCH,
            "version": 1,
            "keyed_version": 1,
            "created_at": made,
            "updated_at": made,
        }

    async def store(self, url: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            columns = list(self.rows[0])
            await connection.execute("DELETE FROM patient")
            records = [tuple(row[name] for name in columns) for row in self.rows]
            await connection.copy_records_to_table("patient", records=records, columns=columns)
            await connection.execute("ANALYZE patient")
        finally:
            await connection.close()

    def filter(self, kind: str) -> tuple[str, Any]:
        """A random value of a parameter, and what it lets through."""
        match kind:
            case "search":
                value = self.chance.choice(
                    ("lee", "ann", "ANN lee", "muller", "obrien ipek", "anne marie", "%", "王", "q")
                )
                return value, lambda row: all(word in search_key(row["name"]) for word in search_words(value))
            case "email":
                value = self.chance.choice([row["email"] for row in self.rows if row["email"]])
                value = self.chance.choice((value, value.upper() if value.isascii() else value, "q@example.com"))
                return value, lambda row: bool(row["email"]) and email_identity(row["email"]) == email_identity(value)
            case "phone":
                value = self.chance.choice(("15550100", "+1 (555) 0100", "٠١٥٥٥", "01555", "1555010", "0"))
                return value, lambda row: row["phone"] is not None and digits(row["phone"]) == digits(value)
            case "dateOfBirth":
                value = self.chance.choice(self.rows)["date_of_birth"]
                return value.isoformat(), lambda row: row["date_of_birth"] == value
        value = self.chance.choice(("PENDING", "ACTIVE"))
        return value, lambda row: row["billing_status"] == value

    def ordered(self, rows: list[Row], sort: tuple[str, ...]) -> list[Row]:
        """As the documents say: by each field, then by the id in the direction of the first."""
        down = bool(sort) and sort[0].endswith("desc")
        rows = sorted(rows, key=lambda row: row["id"].bytes, reverse=down)
        for each in reversed(sort):
            field, _, direction = each.partition(",")
            rows.sort(key=KEYS[field], reverse=direction == "desc")
        return rows


KEYS: dict[str, Any] = {
    "name": lambda row: row["name_key"],
    "email": lambda row: (row["email_order"] is None, row["email_order"] or ""),
    "dateOfBirth": lambda row: row["date_of_birth"],
    "registeredDate": lambda row: row["registered_date"],
    "createdAt": lambda row: row["created_at"],
}


@pytest.fixture(scope="module")
def world() -> World:
    print(f"FILTERS_SEED={SEED}")
    return World(random.Random(SEED))


@pytest.fixture
async def client(environ: dict[str, str], world: World, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    # No consumer: nothing may make these patients ACTIVE meanwhile.
    app = create_app(
        Settings.from_environ(environ | {"BILLING_SERVICE_ADDRESS": "127.0.0.1:1", "SERVICE_ROLES": "api"})
    )
    async with serve(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        client.headers["Authorization"] = f"Bearer {token('USER')}"
        await world.store(database_url)
        yield client


FILTERS = ("search", "email", "phone", "dateOfBirth", "billingStatus")
KINDS = [kinds for size in range(len(FILTERS) + 1) for kinds in itertools.combinations(FILTERS, size)]
SORTS: list[tuple[str, ...]] = [
    (),
    *((f"{field},{way}",) for field in KEYS for way in ("asc", "desc")),
    ("dateOfBirth,desc", "email,asc", "name,desc"),
]


@pytest.mark.contract("Z05", "D22", "P18")
async def test_every_combination_in_every_order_is_what_a_plain_scan_finds(
    client: httpx.AsyncClient, world: World
) -> None:
    counts: dict[tuple[str, ...], int] = {}
    for kinds, sort in itertools.product(KINDS, SORTS):
        filters = {kind: world.filter(kind) for kind in kinds}
        wanted = [row for row in world.rows if all(test(row) for _, test in filters.values())]
        wanted = world.ordered(wanted, sort)
        size = world.chance.choice((1, 7, 100))
        page = world.chance.randrange(0, len(wanted) // size + 2)
        parameters = [(kind, value) for kind, (value, _) in filters.items()]
        parameters += [("page", str(page)), ("size", str(size)), *(("sort", each) for each in sort)]
        answer = await client.get("/patients", params=parameters)
        assert answer.status_code == 200, (parameters, answer.text)
        found = answer.json()
        assert found["totalElements"] == len(wanted), parameters
        ids = [str(row["id"]) for row in wanted[page * size : (page + 1) * size]]
        assert [each["id"] for each in found["content"]] == ids, parameters
        counts[kinds] = counts.get(kinds, 0) + len(wanted)
    assert sum(1 for total in counts.values() if total) >= len(KINDS) - 8, counts


LOOK_FOR = "search must have a letter, a digit or a sign to look for"
BAD = {
    "e-mail=ann@example.com": "query has an unknown parameter; known are billingStatus, dateOfBirth, email, page, "
    "phone, search, searchValue, size, sort",
    "email=ann": "email is not a valid email address: An email address must have an @-sign.",
    "email=": "email must not be empty",
    "email=ann%20@example.com": "email is not a valid email address: The email address contains invalid characters "
    "before the @-sign: SPACE.",
    "email=a@example.com&email=b@example.com": "email must be given once",
    "phone=none": "phone must have a digit to look for",
    "phone=%00": "phone must not have control characters",
    "phone=" + "1" * 65: "phone must have at most 64 characters",
    "dateOfBirth=01.02.1990": "dateOfBirth must be a date such as 1990-01-01",
    "dateOfBirth=631152000": "dateOfBirth must be a date such as 1990-01-01",
    "billingStatus=active": "billingStatus must be 'PENDING' or 'ACTIVE'",
    "billingStatus=ACTIVE&billingStatus=PENDING": "billingStatus must be given once",
    "search=%20": LOOK_FOR,
    "searchValue=%20": LOOK_FOR,
    "search=": "search must not be empty",
    "search=ann&searchValue=lee": "searchValue must not be given together with search",
}


@pytest.mark.contract("Z05", "D08", "G05")
async def test_what_means_nothing_is_refused(client: httpx.AsyncClient) -> None:
    for query, sentence in BAD.items():
        answer = await client.get(f"/patients?{query}")
        assert (answer.status_code, answer.json()["detail"]) == (400, sentence), query


INDEXES = {
    "email": (PatientFilters(email="ann@example.com"), "uq_patient_email_key"),
    "phone": (PatientFilters(phone="0100"), "ix_patient_phone_digits"),
    "dateOfBirth": (PatientFilters(date_of_birth=date(1990, 1, 1)), "ix_patient_date_of_birth"),
    "billingStatus": (PatientFilters(billing_status="PENDING"), "ix_patient_billing_status"),
    "search": (PatientFilters(search="anna lee"), "ix_patient_name_search"),
}


@pytest.mark.contract("Z05", "P19")
@pytest.mark.parametrize("name", INDEXES)
async def test_each_filter_has_its_index(client: httpx.AsyncClient, database_url: str, name: str) -> None:
    filters, index = INDEXES[name]
    [(shape, values)] = filters.bound.items()
    statement = PATIENTS.count((shape,))
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SET enable_seqscan = off")
        await connection.execute("DROP INDEX IF EXISTS ix_patient_pending")  # it would serve as well
        plan = "\n".join(
            row[0] for row in await connection.fetch(f"EXPLAIN {statement.sql}", *statement.arguments(values))
        )
    finally:
        await connection.close()
    assert index in plan, plan
    assert "Filter" not in plan or name == "search", plan


@pytest.mark.contract("Z05")
async def test_postgresql_and_python_read_the_same_digits_in_a_phone_number(
    database_url: str, client: httpx.AsyncClient
) -> None:
    texts: list[str] = []

    @settings(max_examples=200, database=None, deadline=None)
    @given(
        st.text(
            st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("0129٣۴०๙９+- ()"),
            max_size=64,
        )
    )
    def collect(text: str) -> None:
        texts.append(text)

    collect()
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(f"SELECT phone, {PHONE_DIGITS} AS digits FROM unnest($1::text[]) AS phone", texts)
    finally:
        await connection.close()
    assert {row["phone"]: row["digits"] for row in rows} == {text: digits(text) for text in texts}
