"""The main job, through the gateway, on the whole platform."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest
from chassis.testing import deadline


def eventually(check: Callable[[], Any], within: float = 30.0) -> Any:
    """The first truthy value of `check`, or a failure at the deadline."""
    until = deadline(within)
    while not (found := check()):
        assert time.monotonic() < until, "nothing to see before the deadline"
        time.sleep(0.05)
    return found


def a_patient(name: str = "Ada Byron") -> dict[str, str]:
    return {
        "name": name,
        "email": f"{uuid.uuid4().hex}@example.com",
        "address": "12 St James Square",
        "dateOfBirth": "1990-12-10",
    }


@pytest.fixture
def client(stack) -> httpx.Client:
    with stack.client() as client:
        yield client


@pytest.mark.contract("X11", "S01", "W03")
def test_login_is_200_or_401_and_patients_need_a_token(stack, client) -> None:
    with httpx.Client(base_url=stack.gateway) as anonymous:
        wrong = anonymous.post("/auth/login", json={"email": "testuser@test.com", "password": "not this one"})
        assert wrong.status_code == 401
        assert anonymous.get("/api/patients").status_code == 401
    answer = client.get("/api/patients")
    assert answer.status_code == 200
    assert answer.json()["totalElements"] >= 1


@pytest.mark.contract("X10", "Q20", "N04", "B09", "W01", "W02")
def test_the_walkthrough(client) -> None:
    counted = client.get("/api/analytics/summary").json()
    created = client.post("/api/patients", json=a_patient())
    assert created.status_code == 201
    assert created.json()["billingStatus"] == "PENDING"
    patient = created.json()["id"]
    assert created.headers["Location"] == f"/api/patients/{patient}"

    renamed = client.put(f"/api/patients/{patient}", json=created.json() | {"name": "Ada Lovelace"})
    assert renamed.status_code == 200
    booked = client.post(
        "/api/appointments",
        json={
            "patientId": patient,
            "startTime": "2026-05-20T09:00:00",
            "endTime": "2026-05-20T09:30:00",
            "notes": "first",
        },
    )
    assert booked.status_code == 201
    appointment = booked.json()["id"]

    def enriched() -> bool:
        seen = client.get(f"/api/appointments/{appointment}").json()
        return seen["patientName"] == "Ada Lovelace" and seen["patient"]["name"] == "Ada Lovelace"

    eventually(enriched)
    account = eventually(lambda: _found(client.get(f"/api/billing/accounts/{patient}")))
    assert account["patientId"] == patient
    eventually(lambda: client.get(f"/api/patients/{patient}").json()["billingStatus"] == "ACTIVE")
    eventually(lambda: client.get("/api/analytics/summary").json() != counted)


def _found(answer: httpx.Response) -> dict[str, Any] | None:
    return answer.json() if answer.status_code == 200 else None


@pytest.mark.contract("D06", "P05")
def test_a_deleted_patient_leaves_nothing_beside_its_appointments(client) -> None:
    patient = client.post("/api/patients", json=a_patient("Somebody Forgotten")).json()["id"]
    visit = {"patientId": patient, "startTime": "2026-06-01T09:00:00", "endTime": "2026-06-01T09:30:00"}
    appointment = client.post("/api/appointments", json=visit).json()["id"]
    eventually(lambda: client.get(f"/api/appointments/{appointment}").json()["patient"])
    assert client.delete(f"/api/patients/{patient}").status_code == 204
    eventually(lambda: "Somebody Forgotten" not in client.get(f"/api/appointments/{appointment}").text)
    eventually(lambda: client.post("/api/appointments", json=visit).status_code == 409)
    closed = eventually(lambda: _closed(client.get(f"/api/billing/accounts/{patient}")))
    assert closed["patientId"] == patient


def _closed(answer: httpx.Response) -> dict[str, Any] | None:
    return answer.json() if answer.status_code == 200 and answer.json()["status"] == "CLOSED" else None


@pytest.mark.contract("D07")
def test_a_problem_of_a_service_names_the_path_that_the_client_knows(client) -> None:
    for path in (f"/api/patients/{uuid.uuid4()}", f"/api/appointments/{uuid.uuid4()}", "/api/patients/not-an-id"):
        answer = client.get(path)
        assert answer.status_code in {400, 404}
        assert answer.json()["instance"] == path


@pytest.mark.contract("X11", "W04", "D19")
def test_too_much_of_one_route_is_429_while_another_is_free(stack, client) -> None:
    with httpx.Client(base_url=stack.gateway) as anonymous:  # not by logins: one takes bcrypt longer than the limit
        answers = [anonymous.get("/auth/me") for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert refused[0].headers["Content-Type"] == "application/problem+json"
    assert client.get("/api/patients").status_code == 200
    eventually(lambda: httpx.get(f"{stack.gateway}/auth/me").status_code == 401)


@pytest.mark.contract("D07")
def test_the_services_documents_are_shown_without_a_token(stack) -> None:
    for name in ("patients", "appointments", "auth", "billing", "analytics"):
        document = httpx.get(f"{stack.gateway}/api-docs/{name}")
        assert document.status_code == 200
        assert document.json()["openapi"].startswith("3.")
    assert httpx.get(f"{stack.gateway}/api/patients/actuator/health").status_code in {401, 404}
    assert httpx.get(f"{stack.gateway}/nowhere").status_code == 404


@pytest.mark.contract("Z05", "D08", "D24", "W01")
def test_the_gateway_passes_filters_and_conditions_on_as_they_are(client) -> None:
    person = a_patient() | {"phone": f"+1 555 {uuid.uuid4().int % 10**12}"}
    made = client.post("/api/patients", json=person).json()
    day = {"startTime": "2026-07-01T09:00:00", "endTime": "2026-07-01T09:30:00"}
    visit = client.post("/api/appointments", json=day | {"patientId": made["id"]}).json()
    for query in (f"email={person['email'].upper()}", f"phone={person['phone'].replace('+', '%2B')}"):
        found = client.get(f"/api/patients?{query}&dateOfBirth={person['dateOfBirth']}").json()["content"]
        assert [each["id"] for each in found] == [made["id"]], query
    query = f"patientId={made['id']}&status=SCHEDULED&status=CONFIRMED&overlaps=2026-07-01T09:29:00/2026-07-02"
    assert [each["id"] for each in client.get(f"/api/appointments?{query}").json()["content"]] == [visit["id"]]
    assert client.get(f"/api/appointments?patientId={uuid.uuid4()}").json()["totalElements"] == 0
    unknown = client.get(f"/api/appointments?patient_id={made['id']}")
    assert unknown.status_code == 400
    assert "patientId" in unknown.json()["detail"]
    assert unknown.headers["Link"] == '</api-docs/problems/validation>; rel="help"'
    lines = [("If-None-Match", '"99"'), ("If-None-Match", '"1"')]
    assert client.get(f"/api/patients/{made['id']}", headers=lines).status_code == 304
    assert client.put(f"/api/patients/{made['id']}", json=person, headers=lines).status_code == 412
    assert client.delete(f"/api/appointments/{visit['id']}", headers=lines).status_code == 412
    kept = [("If-Match", '"99"'), ("If-Match", '"1"')]
    assert client.delete(f"/api/appointments/{visit['id']}", headers=kept).status_code == 204
