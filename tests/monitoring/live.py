"""What the running platform measures, read as Prometheus reads it; and the work that gives it something to measure."""

import random
import socket
import string
import time
import uuid
from dataclasses import dataclass

import grpc
import httpx2 as httpx
from chassis.testing import deadline
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
    until = deadline(20)
    while (booked := client.post("/api/appointments", json=VISIT | {"patientId": patient})).status_code != 201:
        assert time.monotonic() < until, booked.text
        time.sleep(0.1)
    for path in (f"appointments/{booked.json()['id']}", "appointments", "patients", "analytics/summary", "patients/0"):
        client.get(f"/api/{path}")
    client.get(f"/api/billing/accounts/{patient}")
    client.delete(f"/api/patients/{patient}")
    with httpx.Client(base_url=stack.gateway) as anonymous:
        for _ in range(12):
            anonymous.get("/auth/me")


def strange_requests(stack: Stack, count: int = 30) -> set[str]:
    """What nobody should send: methods, paths, hosts and calls that are made up; the words that were in them."""
    layout = Layout(stack.offset)
    words = {"".join(random.choices(string.ascii_uppercase, k=12)) for _ in range(count)}
    lines = {"GET /{0} HTTP/1.1", "GET /api/patients/{0}?{0}={0} HTTP/1.1", "POST /auth/{0} HTTP/1.1"}
    lines |= {
        f"{{0}} {path} HTTP/1.1" for path in ("/api/patients", "/api-docs", "/nowhere", "/patients", "/auth/login")
    }
    lines |= {f"PROPFIND {path} HTTP/1.1" for path in ("/api/patients", "/patients", "/actuator/health")}
    for service in SERVICES:
        for word in words:
            for line in lines:
                _send(layout.port(service.port), f"{line.format(word)}\r\nHost: {word}\r\nConnection: close\r\n\r\n")
    with grpc.insecure_channel(f"127.0.0.1:{layout.port('BILLING_SERVICE_GRPC_PORT')}") as channel:
        for word in words:
            call = channel.unary_unary(f"/billing.BillingService/{word}").future(b"", timeout=10)
            assert call.exception() is not None
    return words


def _send(port: int, request: str) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request.encode())
        assert connection.recv(12).startswith(b"HTTP/1.1 ")
