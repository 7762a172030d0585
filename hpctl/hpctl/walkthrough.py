"""The platform's main job, step by step, through the gateway."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx2

from hpctl.layout import Failure, Layout
from hpctl.report import DEMO_EMAIL, DEMO_PASSWORD, console

_WITHIN = 20.0
_PATIENCE = 15.0  # more than the gateway has with a service, so that its own answer arrives


def login(layout: Layout, email: str, password: str) -> str:
    """A token from auth-service; Failure when the login is refused or nobody answers."""
    with _client(layout) as client:
        return _login(client, email, password)


def walk(layout: Layout) -> None:
    """Every step, printed as it succeeds; Failure names the step that did not."""
    with _client(layout) as client:
        client.headers["Authorization"] = f"Bearer {_login(client, DEMO_EMAIL, DEMO_PASSWORD)}"
        _told("log in", DEMO_EMAIL)
        counted = _count(client)
        patient = _create(client)
        _rename(client, patient)
        appointment = _book(client, patient["id"])
        _see_the_new_name(client, appointment)
        _see_the_account(client, patient["id"])
        _eventually("the analytics count moves", lambda: _count(client) > counted)
        _told("count", f"patient.created {counted} → {_count(client)}")
    console.print("\nthe walkthrough is complete")


def _create(client: httpx2.Client) -> dict[str, Any]:
    body = {
        "name": "Ada Byron",
        "email": f"ada.{uuid.uuid4().hex[:12]}@example.com",
        "address": "12 St James Square, London",
        "dateOfBirth": "1990-12-10",
    }
    patient = _asked(client, "POST", "/api/patients", 201, body)
    _told("create a patient", f"{patient['name']}, billing {patient['billingStatus']}")
    return patient


def _rename(client: httpx2.Client, patient: dict[str, Any]) -> None:
    renamed = _asked(client, "PUT", f"/api/patients/{patient['id']}", 200, patient | {"name": "Ada Lovelace"})
    _told("update it", f"{patient['name']} → {renamed['name']}, version {renamed['version']}")


def _book(client: httpx2.Client, patient: str) -> str:
    body = {"patientId": patient, "startTime": "2026-05-20T09:00:00", "endTime": "2026-05-20T09:30:00"}
    booked = _asked(client, "POST", "/api/appointments", 201, body | {"notes": "first visit"})
    _told("book an appointment", f"{booked['startTime']}, {booked['status']}")
    return str(booked["id"])


def _see_the_new_name(client: httpx2.Client, appointment: str) -> None:
    began = time.monotonic()

    def seen() -> bool:
        answer = _asked(client, "GET", f"/api/appointments/{appointment}", 200)
        return bool(answer["patient"]) and answer["patient"]["name"] == answer["patientName"] == "Ada Lovelace"

    _eventually("the appointment shows the patient's new name", seen)
    _told("read it enriched", f"patientName Ada Lovelace, after {time.monotonic() - began:.1f} s")


def _see_the_account(client: httpx2.Client, patient: str) -> None:
    path = f"/api/billing/accounts/{patient}"
    _eventually("billing has an account", lambda: client.get(path).status_code == 200)
    account = _asked(client, "GET", path, 200)
    status = f"/api/patients/{patient}"
    _eventually(
        "the patient's billing is ACTIVE", lambda: _asked(client, "GET", status, 200)["billingStatus"] == "ACTIVE"
    )
    _told("see the billing account", account["status"])


def _count(client: httpx2.Client) -> int:
    totals: dict[str, int] = _asked(client, "GET", "/api/analytics/summary", 200)["byType"]
    return totals.get("patient.created", 0)


def _login(client: httpx2.Client, email: str, password: str) -> str:
    body = {"email": email, "password": password}
    answer = client.post("/auth/login", json=body)
    if answer.status_code == 401:
        raise Failure(f"the login of {email} was refused: no such user, or another password")
    return str(_content(answer, "POST /auth/login", 200)["token"])


def _asked(client: httpx2.Client, method: str, path: str, status: int, body: Any = None) -> dict[str, Any]:
    return _content(client.request(method, path, json=body), f"{method} {path}", status)


def _content(answer: httpx2.Response, asked: str, status: int) -> dict[str, Any]:
    if answer.status_code != status:
        raise Failure(f"{asked} answered {answer.status_code} instead of {status}: {answer.text[:300]}")
    content: dict[str, Any] = answer.json()
    return content


def _eventually(what: str, check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WITHIN
    while not check():
        if time.monotonic() > deadline:
            raise Failure(f"not within {_WITHIN:.0f} s: {what}")
        time.sleep(0.1)


def _told(step: str, result: str) -> None:
    console.print(f"[green]✓[/] {step:<24} {result}")


class _Client(httpx2.Client):
    def request(self, method: str, url: Any, **options: Any) -> httpx2.Response:
        try:
            return super().request(method, url, **options)
        except httpx2.TransportError as error:
            raise Failure(f"the gateway at {self.base_url} does not answer ({error}); is the stack up?") from error


def _client(layout: Layout) -> _Client:
    return _Client(base_url=layout.gateway, timeout=_PATIENCE, trust_env=False)
