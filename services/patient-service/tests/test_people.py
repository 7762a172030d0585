"""Texts and days of people: names as they are typed, addresses that some share and some lack, dates at the clinic."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
import grpc
import httpx2 as httpx
import pytest
from chassis.testing import eventually, free_port, serve, token
from healthcare_contracts.billing_service_pb2_grpc import BillingServiceServicer, add_BillingServiceServicer_to_server
from healthcare_contracts.schemas import committed
from jsonschema import Draft202012Validator
from patient_service.main import create_app
from patient_service.settings import Settings

ADMIN = {"Authorization": f"Bearer {token('ADMIN')}"}
BILLING_BEFORE = Draft202012Validator(json.loads((Path(__file__).parent / "billing_before.json").read_text()))

FOUND = {
    "İstanbul": ["istanbul", "ISTANBUL", "ıstanbul", "İSTANBUL", "ista̧nbul"],
    "Işık Yılmaz": ["isik yilmaz", "IŞIK", "ışık", "yilmaz isik"],
    "Jürgen Müller": ["muller", "MÜLLER", "mu\u0308ller", "müller  jürgen", "urg ulle"],
    "Conor O’Brien": [
        "obrien conor",
        "o'brien",
        "O`BRIEN",
        "oʼbrien",
        "o‘brien",
        "O´Brien",
        "o＇brien",
        "Brien, Conor",
    ],
    "Anne-Marie  Łoś": ["anne marie", "annemarie", "Anne–Marie", "marie anne los", "anne‑marie łoś"],
    "Søren Đorđević": ["soren", "dordevic", "Sören", "SØREN ĐORĐEVIĆ"],
    "Hans Weiß": ["weiss", "WEISS", "weiß", "WEIẞ"],
    "فاطمة أحمد": ["فاطمه", "احمد", "فاطمة", "أَحْمَد فاطمه"],
    "Ｔａｒｏ ﾔﾏﾀﾞ": ["taro", "ヤマダ", "ﾔﾏﾀﾞ taro", "ＴＡＲＯ"],
    "王小明": ["王", "小明"],
    "Μαρία Ιωάννου": ["μαρια", "ΙΩΆΝΝΟΥ", "Ιωαννου Μαρια"],
    "José\u200b Núñez": ["jose nunez", "JOSÉ", "nun\u0303ez"],
    "100% under_score a\\b": ["100%", "r_s", "A\\B"],
    "Nguyễn Thị Ánh": ["nguyen thi anh", "ÁNH"],
}
NOT_FOUND = {
    "王小明": ["wang", "xiao"],
    "100% under_score a\\b": ["1%0", "d%s", "unde_"],
    "Hans Weiß": ["hans weis s?"],
}
NONE = ["\u200b", "\u2800", "\u3164", "\u00ad", "\ufeff", "\ufe0f", "\u115f \u1160", "\u2060\u200e", "\U000e0101"]


@pytest.mark.contract("Z06", "P18")
async def test_people_find_a_name_as_they_type_it(client, new, database_url) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM patient")
    await connection.close()
    for name in FOUND:
        assert (await client.post("/patients", json=new(name=name))).json()["name"] == name

    async def found(text: str) -> list[str]:
        answer = await client.get("/patients", params={"search": text})
        page = answer.json()
        assert page["totalElements"] == len(page["content"]), page
        return [person["name"] for person in page["content"]]

    for name, texts in FOUND.items():
        for text in texts:
            assert await found(text) == [name], text
    for name, texts in NOT_FOUND.items():
        for text in texts:
            assert name not in await found(text), text


@pytest.mark.contract("P18", "D20")
async def test_a_search_without_a_word_or_with_too_many_is_refused(client) -> None:
    for text in ("'", "-", "\u200b", "’ -"):
        answer = await client.get("/patients", params={"search": text})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "search")
    words = "a b c d e f g h i j"
    assert (await client.get("/patients", params={"search": words})).status_code == 200
    answer = await client.get("/patients", params={"search": f"{words} k"})
    assert answer.json()["detail"] == "search must have at most 10 words"


@pytest.mark.contract("P17")
async def test_a_mailbox_is_one_address_and_no_other(client, new) -> None:
    mark = uuid.uuid4().hex[:8]
    for address in (f"{mark}@faß.de", f"{mark}@fass.de", f"ß{mark}@x.de", f"ss{mark}@x.de", f"{mark}@bücher.de"):
        assert (await client.post("/patients", json=new(email=address))).status_code == 201, address
    for address in (f"{mark}@FAß.de", f"ẞ{mark}@x.de", f"{mark}@xn--bcher-kva.de", f"{mark.upper()}@BÜCHER.DE"):
        assert (await client.post("/patients", json=new(email=address))).status_code == 409, address


@pytest.mark.contract("P17", "D01")
async def test_a_patient_may_have_no_email(client, new, environ, records) -> None:
    bodies = [new(email=None), {name: value for name, value in new().items() if name != "email"}]
    [first, second] = [(await client.post("/patients", json=body)).json() for body in bodies]
    assert first["email"] is second["email"] is None
    path = f"/patients/{first['id']}"
    assert (await client.get(path)).json()["email"] is None
    page = (await client.get("/patients", params={"sort": "email,desc", "size": 2})).json()
    assert {person["email"] for person in page["content"]} == {None}  # before all that have one, as they come after
    with_one = await client.put(path, json=new(email="mother@example.com"))
    assert with_one.json()["email"] == "mother@example.com"
    assert (await client.post("/patients", json=new(email="Mother@example.com"))).status_code == 409
    assert (await client.put(path, json=bodies[0])).json()["email"] is None
    assert (await client.post("/patients", json=new(email="Mother@example.com"))).status_code == 201
    created = (await eventually(lambda: records(environ, "patient.created", first["id"])))[0]
    updated = await eventually(lambda: records(environ, "patient.updated", first["id"]))
    for record in (created, *updated):
        event = json.loads(record.value)
        assert event["data"]["email"] in ("", "mother@example.com")
        for schema in committed(event["type"]).values():  # of every release
            Draft202012Validator(schema).validate(event)


@pytest.mark.contract("P17", "B04", "B07")
async def test_billing_of_the_release_before_makes_the_account_of_a_patient_without_email(
    new, environ, records
) -> None:
    """It refuses the call, as it wants an address there, and takes the event."""

    class Billing(BillingServiceServicer):
        asked: list[str] = []  # noqa: RUF012 - of this test

        async def CreateAccount(self, request, context):
            self.asked.append(request.patientId)
            errors = list(BILLING_BEFORE.iter_errors({name: getattr(request, name) for name in ("email", "name")}))
            assert errors, "the release before would have made the account"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "email must not be blank")

    server, port = grpc.aio.server(), free_port()
    add_BillingServiceServicer_to_server(Billing(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    settings = Settings.from_environ(environ | {"BILLING_SERVICE_ADDRESS": f"127.0.0.1:{port}"})
    async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url, headers=ADMIN) as client:
        patient = (await client.post("/patients", json=new(email=None))).json()["id"]
        [record] = await eventually(lambda: records(environ, "billing-account", patient))
    await server.stop(0)
    event = json.loads(record.value)
    assert Billing.asked == [patient]
    assert event["data"] == {"patientId": patient, "name": "John Doe", "email": ""}
    Draft202012Validator(committed("billing.account.requested")[1]).validate(event)


@pytest.mark.contract("P16", "D20")
async def test_a_name_that_nobody_sees_is_blank(client, new) -> None:
    for blank in NONE:
        for field in ("name", "address", "phone", "gender"):
            answer = await client.post("/patients", json=new(**{field: f" {blank}{blank} "}))
            assert answer.json().get("detail") == f"{field} must not be blank", ascii(blank)
        inside = await client.post("/patients", json=new(email=f"jo{blank[0]}hn@example.com"))
        assert inside.json()["errors"][0]["field"] == "email", ascii(blank)
        name = f"Jane{blank}"
        assert (await client.post("/patients", json=new(name=name))).json()["name"] == name.strip()


@pytest.mark.contract("D20")
async def test_an_address_may_have_several_lines(client, new) -> None:
    written = "12 High Street\r\nFlat 3\nLeeds"
    created = (await client.post("/patients", json=new(address=written))).json()
    assert created["address"] == "12 High Street\nFlat 3\nLeeds"
    assert (await client.get(f"/patients/{created['id']}")).json()["address"] == created["address"]


@pytest.mark.contract("D20", "D23")
async def test_who_is_born_where_the_day_begins_first_can_be_registered(client, new) -> None:
    latest = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    assert (await client.post("/patients", json=new(dateOfBirth=latest.isoformat()))).status_code == 201
    tomorrow = (datetime.now(UTC) + timedelta(hours=38)).date()
    answer = await client.post("/patients", json=new(dateOfBirth=tomorrow.isoformat()))
    assert answer.json()["detail"] == "dateOfBirth must not be in the future"


@pytest.mark.contract("D23")
async def test_the_clinics_zone_decides_what_day_a_patient_is_registered(new, environ) -> None:
    """One of the two zones has another date than UTC, at any hour."""
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        settings = Settings.from_environ(
            environ | {"CLINIC_TIME_ZONE": zone, "BILLING_SERVICE_ADDRESS": "127.0.0.1:1", "SERVICE_ROLES": "api"}
        )
        async with serve(create_app(settings)) as url, httpx.AsyncClient(base_url=url, headers=ADMIN) as client:
            before = datetime.now(ZoneInfo(zone)).date().isoformat()
            registered = (await client.post("/patients", json=new())).json()["registeredDate"]
            assert registered in (before, datetime.now(ZoneInfo(zone)).date().isoformat())
