"""One trace from the gateway's request to the projection's commit, as a real OTLP receiver gets it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest
from chassis.testing import eventually
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from tests.conftest import ROOT, Stack
from tests.ports import free_offset
from tests.traces.receiver import Receiver, receiving


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as received:
        yield received


@pytest.fixture(scope="module")
def traced(receiver: Receiver) -> Iterator[Stack]:
    """A stack that sends its spans to the receiver."""
    stack = Stack(free_offset())
    environ = os.environ | {
        "PORT_OFFSET": str(stack.offset),
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
    }
    command = [sys.executable, "-m", "hpctl", "up"]
    up = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=240, check=False)
    assert up.returncode == 0, up.stdout + up.stderr
    yield stack
    assert stack.hpctl("reset", "--yes").returncode == 0


@pytest.mark.contract("R5", "O14")
async def test_one_trace_reaches_from_the_request_to_the_projections_commit(traced: Stack, receiver: Receiver) -> None:
    trace, caller, email = uuid4().hex, uuid4().hex[:16], f"{uuid4().hex}@example.com"
    body = {"name": "Ada Traced", "email": email, "address": "1 Road", "dateOfBirth": "1990-01-01"}
    with traced.client() as client:
        answer = client.post("/api/patients", json=body, headers={"traceparent": f"00-{trace}-{caller}-01"})
    assert answer.status_code == 201

    def edges() -> set[tuple[tuple[str, str], tuple[str, str]]]:
        spans = receiver.of(trace)
        by_id = {each.span: (each.service, each.name) for each in spans}
        return {((each.service, each.name), by_id.get(each.parent, ("caller", each.parent))) for each in spans}

    gateway = ("api-gateway", "POST patients")
    patient = ("patient-service", "POST /patients")
    send = ("patient-service", "send patient.created")
    process = ("appointment-service", "process patient.created")
    counted = ("analytics-service", "process patient.created")
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
        ("appointment-service", "INSERT cached_patient"): process,  # one statement: its own commit
        counted: send,
        ("analytics-service", "COMMIT"): counted,
    }

    def complete() -> bool:
        found = edges()
        missing = wanted.items() - found
        assert not missing, f"{missing}\nfound {found}"
        return True

    await eventually(complete, within=20)
    for span in receiver.of(trace):
        assert email not in span.text
        assert "Ada" not in span.text
        assert answer.json()["id"] not in span.text


async def test_a_cached_read_shows_redis_and_an_unsampled_caller_is_left_alone(
    traced: Stack, receiver: Receiver
) -> None:
    patient = "123e4567-e89b-12d3-a456-426614174000"
    sampled, unsampled = uuid4().hex, uuid4().hex
    with traced.client() as client:
        for trace, flags in ((unsampled, "00"), (sampled, "01")):
            headers = {"traceparent": f"00-{trace}-{uuid4().hex[:16]}-{flags}"}
            assert client.get(f"/api/patients/{patient}", headers=headers).status_code == 200
    await eventually(
        lambda: ("patient-service", "MGET") in {(s.service, s.name) for s in receiver.of(sampled)}, within=15
    )
    assert receiver.of(unsampled) == []


async def test_a_tenth_of_the_traces_that_begin_at_the_gateway_is_recorded(traced: Stack, receiver: Receiver) -> None:
    with traced.client() as client:
        answers = [client.get("/api/patients?search=canary%40example.com&size=1") for _ in range(300)]
    traces = [answer.headers["x-request-id"] for answer in answers]  # a request without an id gets its trace's
    wanted = {
        trace
        for trace in traces
        if TraceIdRatioBased(0.1).should_sample(None, int(trace, 16), "").decision.is_sampled()
    }
    assert wanted

    def complete() -> bool:
        assert {each.trace for each in receiver.spans if each.service == "api-gateway"} & set(traces) == wanted
        return True

    await eventually(complete, within=20)
    for trace in wanted:
        for span in receiver.of(trace):
            assert "canary" not in span.text and "search" not in span.text


async def test_a_service_that_does_not_answer_is_an_error_of_the_gateways_and_of_the_call(
    traced: Stack, receiver: Receiver
) -> None:
    trace, email = uuid4().hex, f"canary.{uuid4().hex}@example.com"
    processes = json.loads(traced.hpctl("status", "--json").stdout)["processes"]
    pids = {row["name"]: row["pid"] for row in processes}
    body = {"name": "Ada Canary", "email": email, "address": "1 Road", "dateOfBirth": "1990-01-01"}
    with traced.client() as client:
        client.headers["traceparent"] = f"00-{trace}-{uuid4().hex[:16]}-01"
        os.kill(pids["billing-service"], signal.SIGSTOP)
        try:
            assert client.post("/api/patients", json=body).status_code == 201
            answer = client.get("/api/billing/accounts/00000000-0000-0000-0000-000000000000", timeout=60)
        finally:
            os.kill(pids["billing-service"], signal.SIGCONT)
    assert answer.status_code == 504
    call = ("patient-service", "billing.BillingService/CreateAccount")

    def failed() -> bool:
        found = {(each.service, each.name) for each in receiver.of(trace) if each.failed}
        assert {call, ("api-gateway", "GET billing")} <= found
        return True

    await eventually(failed, within=20)
    for span in receiver.of(trace):
        assert email not in span.text and "Canary" not in span.text
