"""What the running platform measures, read as Prometheus reads it; and the work that gives it something to measure."""

import time
import uuid
from dataclasses import dataclass

import httpx2 as httpx
from hpctl.layout import SERVICES, Layout
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Stack

SERVICE_NAMES = tuple(service.name for service in SERVICES)
VISIT = {"startTime": "2026-05-20T09:00:00", "endTime": "2026-05-20T09:30:00"}


@dataclass(frozen=True)
class Family:
    """A metric by the name of its documentation, and the labels of each of its samples."""

    full_name: str
    type: str
    labels: list[dict[str, str]]


def families(stack: Stack) -> dict[str, list[Family]]:
    """Every service's metrics by its name."""
    layout = Layout(stack.offset)
    return {
        service.name: _read(f"http://127.0.0.1:{layout.port(service.port)}/actuator/prometheus") for service in SERVICES
    }


def _read(url: str) -> list[Family]:
    text = httpx.get(url, timeout=10).text
    return [
        Family(
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            [dict(sample.labels) for sample in family.samples],
        )
        for family in text_string_to_metric_families(text)
    ]


def a_patient() -> dict[str, str]:
    """Somebody new."""
    return {
        "name": "Ada Byron",
        "email": f"{uuid.uuid4().hex}@example.com",
        "address": "12 St James Square",
        "dateOfBirth": "1990-12-10",
    }


def work(stack: Stack, client: httpx.Client, reads: int = 3) -> None:
    """Everyday work on every route, with an answer of each kind; all `reads` of a patient but the first are hits."""
    created = client.post("/api/patients", json=a_patient())
    assert created.status_code == 201, created.text
    patient = created.json()["id"]
    client.put(f"/api/patients/{patient}", json=created.json() | {"name": "Ada Lovelace"})
    for _ in range(reads):
        client.get(f"/api/patients/{patient}")
    deadline = time.monotonic() + 20
    while (booked := client.post("/api/appointments", json=VISIT | {"patientId": patient})).status_code != 201:
        assert time.monotonic() < deadline, booked.text
        time.sleep(0.1)
    for path in (f"appointments/{booked.json()['id']}", "appointments", "patients", "analytics/summary", "patients/0"):
        client.get(f"/api/{path}")
    client.get(f"/api/billing/accounts/{patient}")
    client.delete(f"/api/patients/{patient}")
    with httpx.Client(base_url=stack.gateway) as anonymous:
        for _ in range(12):
            anonymous.get("/auth/me")
