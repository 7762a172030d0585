"""Keys of texts while the release before still writes: its own statements, as it sends them, on today's schema."""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from chassis.db import Database
from chassis.testing import eventually
from chassis.text import email_identity, search_key, sort_key
from patient_service.keys import fill_keys
from patient_service.settings import Settings

STATEMENTS = json.loads((Path(__file__).parent / "release_before.json").read_text())
HOUR = timedelta(hours=1)
ADDRESSES = [
    *["anna@example.com", "ANNA@example.com", "straße@example.com", "Straße@example.com", "strasse@example.com"],
    *["a@faß.de", "A@faß.de", "a@fass.de", "ς@example.com", "σ@example.com", "Σ@example.com", "ﬁ@example.com"],
    *["fi@example.com", "ann@bücher.de", "ANN@bücher.de"],
]


class ReleaseBefore:
    """What the release before does to the database, by its statements and its keys."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def register(self, *people: dict[str, Any]) -> list[uuid.UUID]:
        """The ids of those whom it stored."""
        rows = [self._row(each) | self._event() for each in people]
        arrays = [[row[name] for row in rows] for name in STATEMENTS["register"]["binds"]]
        return [row["id"] for row in await self._connection.fetch(STATEMENTS["register"]["sql"], *arrays)]

    async def replace(self, id: uuid.UUID, person: dict[str, Any]) -> bool:
        """Whether its update was taken."""
        values = self._row(person) | {"patient_id": id, "+1": 1}
        arguments = [values[name] for name in STATEMENTS["update"]["binds"]]
        try:
            return await self._connection.fetchrow(STATEMENTS["update"]["sql"], *arguments) is not None
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != "uq_patient_email_key":  # by this it knows what to answer
                raise
            return False

    def _row(self, person: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "id": uuid.uuid4(),
            "name": person["name"],
            "name_key": sort_key(person["name"]),
            "email": person["email"],
            "email_key": sort_key(person["email"]),
            "phone": None,
            "gender": None,
            "address": person["address"],
            "date_of_birth": date.fromisoformat(person["dateOfBirth"]),
            "registered_date": now.date(),
            "billing_status": "ACTIVE",
            "billing_requested_at": None,
            "version": 1,
            "created_at": now,
            "updated_at": now,
        }

    def _event(self) -> dict[str, Any]:
        return {"event_id": uuid.uuid4(), "payload": "{}", "headers": "{}"}


@pytest.fixture
async def connection(client, database_url) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM patient; DELETE FROM outbox")
    yield connection
    await connection.close()


@pytest.fixture
async def before(connection) -> ReleaseBefore:
    return ReleaseBefore(connection)


@pytest.fixture
async def fill(environ) -> AsyncIterator[Any]:
    database = Database(Settings.from_environ(environ))
    await database.start()

    async def all_rows() -> None:
        filled = 1
        while filled:
            async with database.transaction() as tx:
                filled = await fill_keys(tx)

    yield all_rows
    await database.stop()


async def stored(connection: Any) -> list[Any]:
    return await connection.fetch("SELECT * FROM patient")


async def assert_addresses_are_unique(connection: Any) -> None:
    found = [email_identity(row["email"]) for row in await stored(connection) if row["email"]]
    assert len(found) == len(set(found)), sorted(found)


async def assert_keys_are_right(connection: Any) -> None:
    for row in await stored(connection):
        assert row["keyed_version"] == row["version"]
        assert row["name_search"] == search_key(row["name"])
        assert row["email_key"] == (email_identity(row["email"]) if row["email"] else None)
        assert row["email_order"] == (sort_key(row["email"]) if row["email"] else None)


@pytest.mark.contract("P17", "X13")
async def test_an_address_stays_unique_while_both_releases_write(client, new, connection, before, fill) -> None:
    chance = random.Random(17)
    for _ in range(250):
        person = new(email=chance.choice(ADDRESSES), name=chance.choice(["Müller", "Muller", "İpek"]))
        rows = await stored(connection)
        one = chance.choice(rows)["id"] if rows else None
        match chance.choice(["insert", "insert", "update", "update", "delete", "fill"]):
            case "insert" if chance.random() < 0.5:
                await before.register(person)
            case "insert":
                assert (await client.post("/patients", json=person)).status_code in (201, 409)
            case "update" if one and chance.random() < 0.5:
                await before.replace(one, person)
            case "update" if one:
                assert (await client.put(f"/patients/{one}", json=person)).status_code in (200, 409)
            case "delete" if one:
                assert (await client.delete(f"/patients/{one}")).status_code == 204
            case "fill":
                await fill()
                await assert_keys_are_right(connection)
        await assert_addresses_are_unique(connection)
    await fill()
    await assert_keys_are_right(connection)
    taken = {email_identity(row["email"]) for row in await stored(connection)}
    for address in ADDRESSES:
        answer = await client.post("/patients", json=new(email=address))
        assert answer.status_code == (409 if email_identity(address) in taken else 201), address
        taken.add(email_identity(address))


@pytest.mark.contract("P17")
async def test_of_two_releases_that_register_one_address_at_once_one_does(client, new, connection, before) -> None:
    for number in range(20):
        person = new(email=f"straße{number}@faß.de")
        stored_before, answer = await asyncio.gather(before.register(person), client.post("/patients", json=person))
        assert len(stored_before) + (answer.status_code == 201) == 1


@pytest.mark.contract("P17")
async def test_who_is_older_keeps_an_address_that_two_have(client, new, connection, before, fill) -> None:
    """Rows of an import, with keys that no release made."""
    async with connection.transaction():  # or the service would fill some rows in between
        [older, younger, third] = await before.register(
            new(email="Straße@example.com"), new(email="import-1@example.com"), new(email="import-2@example.com")
        )
        later = [(younger, "STRAßE@example.com"), (third, "straße@example.com")]
        for hours, (id, address) in enumerate(later, start=1):
            await connection.execute("UPDATE patient SET email = $2 WHERE id = $1", id, address)
            await connection.execute("UPDATE patient SET created_at = now() + $2 WHERE id = $1", id, hours * HOUR)
        # The youngest already holds the key that is the oldest's.
        await connection.execute("UPDATE patient SET email_key = 'straße@example.com' WHERE id = $1", third)
    await fill()
    keys = {row["id"]: row["email_key"] for row in await stored(connection)}
    assert keys[older] == "straße@example.com"
    assert keys[younger] == f"straße@example.com\x01{younger}"
    assert keys[third] == f"straße@example.com\x01{third}"
    kept = await client.put(f"/patients/{younger}", json=new(name="Jane Roe", email="STRAßE@example.com"))
    assert kept.status_code == 200
    assert (await client.put(f"/patients/{younger}", json=new(email="jane@example.com"))).status_code == 200
    assert (await client.put(f"/patients/{younger}", json=new(email="straße@example.com"))).status_code == 409


@pytest.mark.contract("P18", "D22")
async def test_rows_of_the_release_before_are_found_and_sorted(client, new, connection, before) -> None:
    """Before they have their keys by their name as it is written, a few seconds later in every way."""
    await before.register(new(name="Müller", email="b@example.com"), new(name="Conor O’Brien", email="c@example.com"))
    await client.post("/patients", json=new(name="Jürgen Müller", email="a@example.com"))

    async def found(text: str) -> set[str]:
        answer = await client.get("/patients", params={"search": text})
        return {person["name"] for person in answer.json()["content"]}

    assert await found("müller") == {"Müller", "Jürgen Müller"}
    by_email = (await client.get("/patients?sort=email")).json()["content"]
    assert [person["email"] for person in by_email] == ["a@example.com", "b@example.com", "c@example.com"]
    await eventually(lambda: _is(found("muller"), {"Müller", "Jürgen Müller"}))
    assert await found("obrien conor") == {"Conor O’Brien"}


async def _is(found: Any, expected: set[str]) -> bool:
    return await found == expected
