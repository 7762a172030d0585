"""Canaries: names, addresses, phones, tokens and query strings that must turn up nowhere but where they belong."""

import json
import time
import uuid
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from chassis.testing import deadline, eventually

from tests.conftest import ROOT, Stack

MARK = f"canary{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="module")
def planted(stack: Stack) -> dict[str, Any]:
    """The platform after somebody with telling data went through all of it, and through its errors."""
    with stack.client() as client:
        person = {
            "name": f"{MARK} Name",
            "email": f"{MARK}@example.com",
            "address": f"{MARK} Street",
            "dateOfBirth": "1971-02-03",
            "phone": f"+1-{MARK}",
            "gender": "X",
        }
        created = client.post("/api/patients", json=person, headers={"X-Request-ID": f"trace-{MARK[6:]}"})
        patient = created.json()["id"]
        answers = [
            client.post("/api/patients", json=person),
            client.post("/api/patients", json=person | {"email": f"{MARK} is no address"}),
            client.post("/api/patients", json=person | {"dateOfBirth": MARK}),
            client.put(f"/api/patients/{patient}", json=person | {"version": 99}),
            client.get(f"/api/patients/{MARK}"),
            client.get(f"/api/patients?sort={MARK}"),
            client.get(f"/api/patients?email={MARK}"),
            client.get(f"/api/patients?phone=1&{MARK}"),
            client.get(f"/api/patients?{MARK}=1&phone=1"),
            client.get(f"/api/appointments?patientId={MARK}&overlaps={MARK}&status={MARK}"),
            client.post("/auth/register", json={"email": f"{MARK}@example.com", "password": MARK[:5]}),
            client.post("/auth/login", json={"email": f"{MARK}@example.com", "password": MARK}),
            client.post("/api/appointments", json={"patientId": patient, "startTime": MARK, "endTime": MARK}),
        ]
        for query in (f"search={MARK}", f"email={MARK}@example.com", f"phone=%2B1-{MARK}1"):
            assert client.get(f"/api/patients?{query}").status_code == 200
        client.put(f"/api/patients/{patient}", json=person | {"name": f"{MARK} Other"})
        visit = {"patientId": patient, "startTime": "2026-05-20T09:00:00", "endTime": "2026-05-20T09:30:00"}
        booked = client.post("/api/appointments", json=visit | {"notes": f"{MARK} note"}).json()
        until = deadline(20)
        while MARK not in client.get(f"/api/appointments/{booked['id']}").text:
            assert time.monotonic() < until
            time.sleep(0.05)
        token = client.headers["Authorization"].removeprefix("Bearer ")
    return {"answers": answers, "token": token, "patient": patient}


@pytest.mark.contract("O13", "O15", "D09")
def test_no_log_has_a_canary_a_token_or_a_query(stack: Stack, planted: dict[str, Any]) -> None:
    logs = sorted((ROOT / ".run" / str(stack.offset) / "logs").glob("*.log"))
    assert len(logs) >= 6
    for log in logs:
        text = log.read_text(errors="replace")
        assert MARK not in text, log.name
        assert planted["token"] not in text, log.name
        assert "testuser@test.com" not in text, log.name
        assert "password123" not in text, log.name
        assert "?search=" not in text, log.name


def test_the_search_would_find_one(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(json.dumps({"event": "patient created", "name": f"{MARK} Name"}))
    assert MARK in (tmp_path / "a.log").read_text()


@pytest.mark.contract("D09", "P16")
def test_no_error_repeats_what_it_was_given(planted: dict[str, Any]) -> None:
    for answer in planted["answers"]:
        assert answer.status_code >= 400, answer.request.url
        told = answer.json() | {"instance": ""}
        assert MARK not in json.dumps(told), answer.request.url


@pytest.mark.contract("O03", "O06")
def test_no_metric_has_a_canary(stack: Stack, planted: dict[str, Any]) -> None:
    for port in (4000, 4001, 4002, 4004, 4005, 4006):
        text = httpx.get(f"http://127.0.0.1:{port + stack.offset}/actuator/prometheus").text
        assert "# HELP" in text
        assert MARK not in text
        assert planted["patient"] not in text
        assert "testuser" not in text


@pytest.mark.contract("O13", "O14")
def test_every_line_of_a_services_log_is_json_and_one_request_is_followed_through(stack: Stack, planted: Any) -> None:
    seen = set()
    for name in ("api-gateway", "patient-service", "appointment-service", "billing-service", "analytics-service"):
        for line in (ROOT / ".run" / str(stack.offset) / "logs" / f"{name}.log").read_text().splitlines():
            entry = json.loads(line)
            assert entry.keys() >= {"event", "level", "time"}
            if entry.get("requestId") == f"trace-{MARK[6:]}":
                seen.add(name)
    assert seen >= {"patient-service", "appointment-service", "billing-service", "analytics-service"}


@pytest.mark.contract("D06")
async def test_analytics_keeps_no_name(stack: Stack, planted: dict[str, Any]) -> None:
    with stack.client() as client:

        def told() -> str:
            events = client.get("/api/analytics/events").text
            assert planted["patient"] in events
            return events

        assert MARK not in await eventually(told, within=20)
