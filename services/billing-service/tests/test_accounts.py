"""Accounts over the three doors: opened once, closed for good, read over HTTP."""

import asyncio
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import grpc.aio
import httpx2
import orjson
import pytest
from chassis.testing import eventually, token
from healthcare_contracts.schemas import closed_schema_of
from jsonschema import Draft202012Validator


@pytest.mark.contract("B03")
async def test_the_first_call_creates_and_the_next_finds(billing: Any) -> None:
    patient = uuid.uuid4()
    first, second = await billing.create(patient), await billing.create(patient)
    assert (first.status, second.status) == ("CREATED", "EXISTS")
    assert first.accountId == second.accountId
    assert uuid.UUID(first.accountId).version == 7


@pytest.mark.contract("B03")
async def test_calls_at_once_make_one_account(billing: Any) -> None:
    patient = uuid.uuid4()
    answers = await asyncio.gather(*[billing.create(patient) for _ in range(20)])
    assert Counter(answer.status for answer in answers) == {"CREATED": 1, "EXISTS": 19}
    assert len({answer.accountId for answer in answers}) == 1


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"patientId": ""}, "patientId must be a UUID"),
        ({"patientId": "42"}, "patientId must be a UUID"),
        ({"email": "j\u200bane@example.com"}, "email must not have invisible characters"),
        ({"name": "\u3164"}, "name must not be blank"),
        ({"email": "jane.example.com"}, "email is not valid"),
        ({"email": "j" * 250 + "@example.com"}, "email must have at most 255 characters"),
        ({"name": "  "}, "name must not be blank"),
        ({"name": "J" * 101}, "name must have at most 100 characters"),
        ({"name": "Jane\0Doe"}, "name must not have control characters"),
        ({"name": "\0"}, "name must not have control characters"),
        ({"name": "Jane\x1bDoe"}, "name must not have control characters"),
        ({"name": "Jane\nDoe"}, "name must not have control characters"),
        ({"name": "Jane\x85Doe"}, "name must not have control characters"),
        ({"email": "jane\0@example.com"}, "email must not have control characters"),
        ({"email": "jane@example\x7f.com"}, "email must not have control characters"),
        ({"patientId": "\0"}, "patientId must be a UUID"),
    ],
)
async def test_a_bad_request_is_an_invalid_argument(billing: Any, change: dict[str, str], detail: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await billing.create(uuid.uuid4(), **change)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == detail


@pytest.mark.contract("B09")
async def test_an_account_is_read_over_http(billing: Any) -> None:
    patient = uuid.uuid4()
    created = await billing.create(patient)
    account = await billing.account(patient)
    assert account.keys() == {"accountId", "patientId", "status", "createdAt"}
    assert (account["accountId"], account["patientId"]) == (created.accountId, str(patient))
    assert account["status"] == "ACTIVE"
    assert account["createdAt"].endswith("Z")
    assert datetime.now(UTC) - datetime.fromisoformat(account["createdAt"]) < timedelta(minutes=1)


@pytest.mark.contract("B09", "D18", "S09")
@pytest.mark.parametrize(
    ("path", "bearer", "status"),
    [
        ("/billing/accounts/{}", token("ADMIN"), 404),
        ("/billing/accounts/{}", token("USER"), 403),
        ("/billing/accounts/{}", None, 401),
        ("/billing/accounts/42", token("ADMIN"), 400),
        ("/billing/elsewhere", token("ADMIN"), 404),
    ],
)
async def test_who_may_not_read_or_asks_for_nothing_is_told(
    billing: Any, path: str, bearer: str | None, status: int
) -> None:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    async with httpx2.AsyncClient(base_url=billing.base_url, headers=headers) as client:
        answer = await client.get(path.format(uuid.uuid4()))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.contract("B04", "B06", "B07", "E02", "E03", "D16")
async def test_an_account_asked_for_by_event_is_made_once_and_announced(billing: Any) -> None:
    patient = uuid.uuid4()
    await billing.request(patient)
    account = await billing.has(patient, "ACTIVE")
    await billing.request(patient)
    events = await eventually(lambda: at_least(2, billing.said(patient)), within=30)
    values = [orjson.loads(event.value) for event in events]
    Draft202012Validator(closed_schema_of("billing.account.created")).validate(values[0])
    assert values[0].keys() == {"eventId", "type", "occurredAt", "data"}
    assert values[0]["type"] == "billing.account.created"
    assert values[0]["occurredAt"].endswith("Z")
    assert values[0]["data"] == {"patientId": str(patient), "accountId": account["accountId"], "status": "ACTIVE"}
    assert values[0]["eventId"] == values[1]["eventId"], "who counts must see one event"
    assert {event.key for event in events} == {str(patient).encode()}
    assert await billing.has(patient, "ACTIVE") == account


async def at_least(count: int, found: Any) -> Any:
    events = await found
    return events if len(events) >= count else None


@pytest.mark.contract("P17", "B07")
async def test_a_patient_without_an_email_gets_an_account(billing: Any) -> None:
    called, asked_for = uuid.uuid4(), uuid.uuid4()
    assert (await billing.create(called, email="")).status == "CREATED"
    await billing.request(asked_for, email="")
    await billing.has(asked_for, "ACTIVE")


@pytest.mark.contract("B07")
async def test_what_was_asked_for_while_billing_was_away_is_made_when_it_is_back(start: Any) -> None:
    patient = uuid.uuid4()
    async with start() as billing:
        assert await billing.account(patient) is None
    await billing.request(patient)
    async with start() as billing:
        account = await billing.has(patient, "ACTIVE")
        assert (await billing.create(patient)).accountId == account["accountId"]


@pytest.mark.contract("B04")
async def test_an_account_made_by_call_is_announced_too(billing: Any) -> None:
    patient = uuid.uuid4()
    created = await billing.create(patient)
    [event] = await eventually(lambda: at_least(1, billing.said(patient)), within=30)
    assert orjson.loads(event.value)["data"]["accountId"] == created.accountId


@pytest.mark.contract("D06")
async def test_a_deleted_patients_account_is_closed_readable_and_never_reopened(billing: Any) -> None:
    patient = uuid.uuid4()
    created = await billing.create(patient)
    await billing.delete(patient)
    account = await billing.has(patient, "CLOSED")
    assert account["accountId"] == created.accountId
    again = await billing.create(patient)
    assert (again.status, again.accountId) == ("EXISTS", created.accountId)
    await billing.request(patient)
    other = uuid.uuid4()
    await billing.request(other)
    await billing.has(other, "ACTIVE")
    assert (await billing.account(patient))["status"] == "CLOSED"
    assert len(await billing.said(patient)) == 1, "a closed account was announced"


@pytest.mark.contract("D06")
async def test_a_delete_that_overtakes_the_request_wins(billing: Any) -> None:
    patient = uuid.uuid4()
    await billing.delete(patient)
    account = await billing.has(patient, "CLOSED")
    assert (await billing.create(patient)).status == "EXISTS"
    assert await billing.account(patient) == account


async def test_billing_keeps_no_personal_data(billing: Any, database_url: str) -> None:
    patient = uuid.uuid4()
    await billing.create(patient, name="Jane Canary", email="canary@example.com")
    data = {"patientId": str(patient), "name": "Jane Canary", "email": "canary@example.com"}
    await billing.send("billing-account", "billing.account.requested", data)
    await eventually(lambda: at_least(2, billing.said(patient)), within=30)
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [await connection.fetch(f'SELECT t::text FROM "{name}" t') for (name,) in tables]
    finally:
        await connection.close()
    metrics = (await billing.http.get("/actuator/prometheus")).text
    assert "anary" not in str(rows) + metrics
