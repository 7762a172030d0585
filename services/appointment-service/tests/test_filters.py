"""Filters of the list: each, and all together, in every order, against a plain scan of the same rows."""

import itertools
import os
import random
import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx2 as httpx
import pytest
from appointment_service.main import create_app
from appointment_service.models import Status
from appointment_service.queries import APPOINTMENTS
from appointment_service.settings import Settings
from chassis.listing import SHAPES
from chassis.paging import Sort
from chassis.testing import serve, token
from chassis.text import sort_key
from hypothesis import given, settings
from hypothesis import strategies as st

SEED = int(os.environ.get("FILTERS_SEED", "20261129"))
MORNING = datetime(2026, 3, 2, 9)  # noqa: DTZ001 - local
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
ROWS = 400
Row = dict[str, Any]


class World:
    """Random rows in the database, and the same rows here."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.patients = [uuid.UUID(int=chance.getrandbits(128), version=4) for _ in range(8)]
        self.names = {each: chance.choice(("Ann", "ann", "Zoë", "Éva", "Bo", "")) or None for each in self.patients[:6]}
        self.rows = [self._row() for _ in range(ROWS)]

    def moment(self) -> datetime:
        """Close to others, so that many meet."""
        moment = MORNING + timedelta(hours=self.chance.randrange(-60, 60))
        return moment + self.chance.choice((timedelta(0), SECOND, timedelta(minutes=30), timedelta(microseconds=7)))

    def _row(self) -> Row:
        patient, start = self.chance.choice(self.patients), self.moment()
        lengths = ("0:01", "0:30", "1:00", "24:00", "24:01", "100:00")  # the last two are from before there was a limit
        hours, _, minutes = self.chance.choice(lengths).partition(":")
        end = start + timedelta(hours=int(hours), minutes=int(minutes))
        return {
            "id": uuid.UUID(int=self.chance.getrandbits(128), version=4),
            "patient_id": patient,
            "start_time": start,
            "end_time": end,
            "status": self.chance.choice(list(Status)).value,
            "version": 1,
            "created_at": MORNING + self.chance.randrange(5) * DAY,
        }

    async def store(self, url: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            columns = list(self.rows[0])
            records = [tuple(row[name] for name in columns) for row in self.rows]
            await connection.copy_records_to_table("appointment", records=records, columns=columns)
            known = [(each, name, name and sort_key(name), 1) for each, name in self.names.items()]
            columns = ["patient_id", "name", "name_key", "version"]
            await connection.copy_records_to_table("cached_patient", records=known, columns=columns)
            await connection.execute("ANALYZE")
        finally:
            await connection.close()

    def filters(self, *kinds: str) -> tuple[list[tuple[str, str]], list[Any]]:
        """Parameters of these kinds with random values, and what each lets through."""
        parameters, tests = [], []
        for kind in kinds:
            given, test = getattr(self, f"_{kind}")()
            parameters += given
            tests.append(test)
        return parameters, tests

    def _patient(self) -> tuple[list[tuple[str, str]], Any]:
        patient = self.chance.choice([*self.patients, uuid.uuid4()])
        return [("patientId", str(patient))], lambda row: row["patient_id"] == patient

    def _status(self) -> tuple[list[tuple[str, str]], Any]:
        wanted = self.chance.choices([each.value for each in Status], k=self.chance.randrange(1, 4))
        return [("status", each) for each in wanted], lambda row: row["status"] in wanted

    def _text(self, moment: datetime) -> str:
        return moment.date().isoformat() if self.chance.random() < 0.3 else moment.isoformat()

    def _since(self) -> tuple[list[tuple[str, str]], Any]:
        text = self._text(self.moment() - DAY)
        return [("from", text)], lambda row: row["start_time"].isoformat()[: len(text)] >= text

    def _until(self) -> tuple[list[tuple[str, str]], Any]:
        text = self._text(self.moment() + DAY)
        return [("to", text)], lambda row: row["start_time"].isoformat()[: len(text)] <= text

    def _both(self) -> tuple[list[tuple[str, str]], Any]:
        (since, after), (until, before) = self._since(), self._until()
        if until[0][1][:10] < since[0][1][:10]:
            return self._both()
        if until[0][1][:10] == since[0][1][:10] and until[0][1][10:] < since[0][1][10:]:
            return self._both()
        return since + until, lambda row: after(row) and before(row)

    def _overlap(self) -> tuple[list[tuple[str, str]], Any]:
        begin = self.moment()
        end = begin + self.chance.choice((SECOND, timedelta(minutes=30), DAY))
        if self.chance.random() < 0.3:
            text, begin = begin.date().isoformat(), begin.replace(hour=0, minute=0, second=0, microsecond=0)
            end = begin + DAY
        elif self.chance.random() < 0.3:
            begin = begin.replace(microsecond=0)
            text, end = begin.isoformat(), begin + SECOND
        else:
            text = f"{begin.isoformat()}/{end.isoformat()}"
        return [("overlaps", text)], lambda row: row["start_time"] < end and row["end_time"] > begin

    def ordered(self, rows: list[Row], sort: tuple[str, ...]) -> list[Row]:
        """As the documents say: by each field, then by the id in the direction of the first."""
        directions = [each.partition(",") for each in sort]
        down = bool(sort) and sort[0].endswith("desc")
        rows = sorted(rows, key=lambda row: row["id"].bytes, reverse=down)
        for field, _, direction in reversed(directions):
            rows.sort(key=lambda row: self._key(row, field), reverse=direction == "desc")
        return rows

    def _key(self, row: Row, field: str) -> Any:
        if field == "patientName":
            name = self.names.get(row["patient_id"])
            return (name is None, sort_key(name or ""))  # nobody's name comes last
        return row[{"startTime": "start_time", "endTime": "end_time", "createdAt": "created_at"}.get(field, field)]


@pytest.fixture(scope="module")
def world() -> World:
    print(f"FILTERS_SEED={SEED}")
    return World(random.Random(SEED))


@pytest.fixture
async def client(environ: dict[str, str], world: World, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings.from_environ(environ))
    async with serve(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        client.headers["Authorization"] = f"Bearer {token('USER')}"
        connection = await asyncpg.connect(database_url)
        empty = await connection.fetchval("SELECT count(*) = 0 FROM appointment")
        await connection.close()
        if empty:
            await world.store(database_url)
        yield client


KINDS = [
    (*who, *state, *when)
    for who in ((), ("patient",))
    for state in ((), ("status",))
    for when in ((), ("since",), ("until",), ("both",), ("overlap",))
]
SORTS: list[tuple[str, ...]] = [
    (),
    *(
        (f"{field},{way}",)
        for field in ("startTime", "endTime", "status", "createdAt", "patientName")
        for way in ("asc", "desc")
    ),
    ("status,asc", "patientName,desc"),
    ("patientName,desc", "createdAt,asc", "startTime,desc"),
]


@pytest.mark.contract("Z05", "D04", "D22", "D23", "Q01")
async def test_every_combination_in_every_order_is_what_a_plain_scan_finds(
    client: httpx.AsyncClient, world: World
) -> None:
    async def ask(kinds: tuple[str, ...], sort: tuple[str, ...]) -> int:
        filters, tests = world.filters(*kinds)
        wanted = world.ordered([row for row in world.rows if all(test(row) for test in tests)], sort)
        size = world.chance.choice((1, 7, 100))
        page = world.chance.randrange(0, len(wanted) // size + 2)
        parameters = [*filters, ("page", str(page)), ("size", str(size)), *(("sort", each) for each in sort)]
        answer = await client.get("/appointments", params=parameters)
        assert answer.status_code == 200, (parameters, answer.text)
        found = answer.json()
        assert found["totalElements"] == len(wanted), parameters
        ids = [str(row["id"]) for row in wanted[page * size : (page + 1) * size]]
        assert [each["id"] for each in found["content"]] == ids, parameters
        return len(wanted)

    counts: dict[tuple[str, ...], int] = {}
    for kinds, sort in itertools.product(KINDS, SORTS):
        counts[kinds] = counts.get(kinds, 0) + await ask(kinds, sort)
    assert all(counts.values()), counts


LOCAL = "must be a date or a local date-time such as 2026-05-20T09:00:00, without an offset"
BAD = {
    "patientId=nobody": "patientId must be a UUID",
    "patientId=": "patientId must not be empty",
    "patient_id=123e4567-e89b-12d3-a456-426614174000": "query has an unknown parameter; known are "
    "from, overlaps, page, patientId, size, sort, status, to",
    "status=scheduled": "status.0 must be 'SCHEDULED', 'CONFIRMED', 'COMPLETED', 'CANCELLED' or 'NO_SHOW'",
    "status=SCHEDULED,CONFIRMED": "status.0 must be 'SCHEDULED', 'CONFIRMED', 'COMPLETED', 'CANCELLED' or 'NO_SHOW'",
    "status=": "status must not be empty",
    "&".join(["status=SCHEDULED"] * 6): "status must be given 5 times at most",
    "from=2026-03-02&from=2026-03-03": "from must be given once",
    "from=2026-03-02T00:00:00Z": f"from {LOCAL}",
    "to=2026-02-30": f"to {LOCAL}",
    "to=1772409600": f"to {LOCAL}",
    "from=2026-03-02&to=2026-03-01": "to must not be before from",
    "from=2026-03-02T10:00:00&to=2026-03-01T23:59:59": "to must not be before from",
    "from=2026-01-01&to=2026-04-04": "to must be within 92 days of from",
    "from=2026-01-01&overlaps=2026-01-01": "overlaps must not be given together with from or to",
    "to=2026-01-01&overlaps=2026-01-01": "overlaps must not be given together with from or to",
    "overlaps=2026-01-01/2026-04-04": "overlaps must be 92 days at most",
    "overlaps=2026-01-02/2026-01-01": "overlaps must end after it begins",
    "overlaps=2026-01-01T10:00:00/2026-01-01T10:00:00": "overlaps must end after it begins",
    "overlaps=/": f"overlaps {LOCAL}",
    "overlaps=2026-01-01/": f"overlaps {LOCAL}",
    "overlaps=2026-01-01/2026-01-02/2026-01-03": f"overlaps {LOCAL}",
    "overlaps=2026-01-01&overlaps=2026-01-02": "overlaps must be given once",
}


@pytest.mark.contract("Z05", "D04", "D08", "D23", "G05")
async def test_what_means_nothing_is_refused(client: httpx.AsyncClient) -> None:
    for query, sentence in BAD.items():
        answer = await client.get(f"/appointments?{query}")
        assert (answer.status_code, answer.json()["detail"]) == (400, sentence), query


@pytest.mark.contract("Z05", "D23")
async def test_the_ends_of_time_are_no_error(client: httpx.AsyncClient) -> None:
    for query in ("to=9999-12-31", "from=0001-01-01", "overlaps=0001-01-01", "overlaps=9999-12-31T23:59:59"):
        assert (await client.get(f"/appointments?{query}")).status_code == 200, query
    assert (await client.get("/appointments?from=9999-12-31")).json()["totalElements"] == 0
    assert (await client.get("/appointments?to=9999-12-31")).json()["totalElements"] == ROWS


TIMES = st.datetimes().map(datetime.isoformat) | st.dates().map(str) | st.text("0123456789-:T/.Z+ ", max_size=24)
SOMETHING = st.one_of(TIMES, st.tuples(TIMES, TIMES).map("/".join), st.text(max_size=12), st.uuids().map(str))
PARAMETERS = st.sampled_from(["from", "to", "overlaps", "patientId", "status", "page", "sort"])


@pytest.mark.contract("G05")
async def test_no_filter_ends_in_a_500(client: httpx.AsyncClient) -> None:
    queries: list[dict[str, str]] = []

    @settings(max_examples=80, deadline=None, database=None)
    @given(st.dictionaries(PARAMETERS, SOMETHING, min_size=1, max_size=3))
    def collect(query: dict[str, str]) -> None:
        queries.append(query)

    collect()
    answers = [(await client.get("/appointments", params=query)).status_code for query in queries]
    answered = zip(answers, queries, strict=True)
    assert [(status, query) for status, query in answered if status not in (200, 400)] == []
    assert set(answers) == {200, 400}


INDEXES = {
    "patientId": ["idx_appointment_patient_id"],
    "status": ["ix_appointment_status"],
    "from": ["ix_appointment_start_time"],
    "to": ["ix_appointment_start_time"],
    "overlaps": ["ix_appointment_start_time", "ix_appointment_long"],
}


@pytest.mark.contract("Z05", "Q17")
@pytest.mark.parametrize("name", INDEXES)
async def test_each_filter_has_its_index(client: httpx.AsyncClient, database_url: str, name: str) -> None:
    bound = {
        "patientId": {"patient_id": uuid.uuid4()},
        "status": {"statuses": ["CONFIRMED"]},
        "from": {"since": MORNING},
        "to": {"until": MORNING},
        "overlaps": {"overlap_begin": MORNING, "overlap_end": MORNING + SECOND},
    }[name]
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SET enable_seqscan = off")
        for statement, paging in (
            (APPOINTMENTS.count((name,)), {}),
            (APPOINTMENTS.page((), (name,)), {"limit": 5, "offset": 0}),
        ):
            rows = await connection.fetch(f"EXPLAIN {statement.sql}", *statement.arguments(bound | paging))
            plan = "\n".join(row[0] for row in rows)
            assert all(index in plan for index in INDEXES[name]) or paging, plan
    finally:
        await connection.close()


def test_the_shapes_that_are_kept_are_bounded() -> None:
    fields = ("startTime", "endTime", "status", "createdAt", "patientName")
    orders = (order for size in range(1, 6) for order in itertools.permutations(fields, size))
    shapes = [tuple(Sort(field, way) for field in order) for order in orders for way in (False, True)][: SHAPES + 20]
    assert len(shapes) == SHAPES + 20
    for shape in shapes:
        APPOINTMENTS.page(shape, ("from",))
    assert APPOINTMENTS.page.cache_info().currsize == SHAPES
    assert APPOINTMENTS.count.cache_info().maxsize == SHAPES
