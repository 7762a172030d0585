"""One trace from the gateway's request to the projection's commit, as a real OTLP receiver gets it."""

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest
from chassis.testing import eventually
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.conftest import ROOT, Stack, free_offset


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace: str
    span: str
    parent: str
    text: str


@dataclass
class Receiver:
    """What was sent to an OTLP/HTTP endpoint."""

    spans: list[Span] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = {each.key: each.value.string_value for each in group.resource.attributes}["service.name"]
            for scope in group.scope_spans:
                for each in scope.spans:
                    ids = (each.trace_id.hex(), each.span_id.hex(), each.parent_span_id.hex())
                    self.spans.append(Span(service, each.name, *ids, str(each)))

    def of(self, trace: str) -> list[Span]:
        return [each for each in self.spans if each.trace == trace]


@pytest.fixture(scope="module")
def receiver() -> Iterator[tuple[Receiver, int]]:
    received = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield received, server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def traced(receiver: tuple[Receiver, int]) -> Iterator[Stack]:
    """A stack that sends its spans to the receiver."""
    stack = Stack(free_offset())
    environ = os.environ | {
        "PORT_OFFSET": str(stack.offset),
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver[1]}",
    }
    command = [sys.executable, "-m", "hpctl", "up"]
    up = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=240, check=False)
    assert up.returncode == 0, up.stdout + up.stderr
    yield stack
    assert stack.hpctl("reset", "--yes").returncode == 0


@pytest.mark.contract("R5", "O14")
async def test_one_trace_reaches_from_the_request_to_the_projections_commit(
    traced: Stack, receiver: tuple[Receiver, int]
) -> None:
    trace, caller, email = uuid4().hex, uuid4().hex[:16], f"{uuid4().hex}@example.com"
    body = {"name": "Ada Traced", "email": email, "address": "1 Road", "dateOfBirth": "1990-01-01"}
    with traced.client() as client:
        answer = client.post("/api/patients", json=body, headers={"traceparent": f"00-{trace}-{caller}-01"})
    assert answer.status_code == 201

    def edges() -> dict[tuple[str, str], tuple[str, str]]:
        spans = receiver[0].of(trace)
        by_id = {each.span: (each.service, each.name) for each in spans}
        return {(each.service, each.name): by_id.get(each.parent, ("caller", each.parent)) for each in spans}

    gateway = ("api-gateway", "POST patients")
    patient = ("patient-service", "POST /patients")
    send = ("patient-service", "send patient.created")
    process = ("appointment-service", "process patient.created")
    wanted = {
        gateway: ("caller", caller),
        patient: gateway,
        ("patient-service", "INSERT patient"): patient,
        ("patient-service", "billing.BillingService/CreateAccount"): patient,
        ("billing-service", "billing.BillingService/CreateAccount"): (
            "patient-service",
            "billing.BillingService/CreateAccount",
        ),
        send: patient,
        process: send,
        ("appointment-service", "INSERT cached_patient"): process,
        ("appointment-service", "COMMIT"): process,
        ("analytics-service", "process patient.created"): send,
    }

    def complete() -> bool:
        found = edges()
        missing = {edge: parent for edge, parent in wanted.items() if found.get(edge) != parent}
        assert not missing, f"{missing}\nfound {found}"
        return True

    await eventually(complete, within=20)
    for span in receiver[0].of(trace):
        assert email not in span.text
        assert "Ada" not in span.text
        assert answer.json()["id"] not in span.text


async def test_a_cached_read_shows_redis_and_an_unsampled_caller_is_left_alone(
    traced: Stack, receiver: tuple[Receiver, int]
) -> None:
    patient = "123e4567-e89b-12d3-a456-426614174000"
    sampled, unsampled = uuid4().hex, uuid4().hex
    with traced.client() as client:
        for trace, flags in ((unsampled, "00"), (sampled, "01")):
            headers = {"traceparent": f"00-{trace}-{uuid4().hex[:16]}-{flags}"}
            assert client.get(f"/api/patients/{patient}", headers=headers).status_code == 200
    await eventually(
        lambda: ("patient-service", "MGET") in {(s.service, s.name) for s in receiver[0].of(sampled)}, within=15
    )
    assert receiver[0].of(unsampled) == []
