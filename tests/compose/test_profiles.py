"""The profiles on a real engine, whole but for what cannot be had: what watches the platform, and a cloud beside it."""

import json
import re
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2 as httpx
import pytest
from chassis.testing import eventually
from healthcare_contracts import topics
from hpctl.layout import ROOT, SERVICES
from hpctl.walkthrough import walk

from tests.compose.cloud import TOPIC, Cloud, cloud
from tests.compose.platform import Compose
from tests.engine.standins import UNPROVEN

ODD = r"""p@s"s\w/o:r d%,$x?#&=é"""
TRACED = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318"}
SINKS = {
    "ANALYTICS_SINKS": "postgresql,s3,sns",
    "S3_ENDPOINT_URL": "http://localstack:4566",
    "SNS_ENDPOINT_URL": "http://localstack:4566",
    "SNS_TOPIC_ARN": TOPIC,
} | {f"{service}_{name}": "any" for service in ("S3", "SNS") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")}
GROUPS = sorted({group for topic in topics.TOPICS for group in topic.groups})
STABLE = "3"  # as the exporter puts a group's state
MEBIBYTES = 2560
# What those that cannot be had may take: Grafana's own documents ask for no less than 512 MB.
PUBLISHED = {"grafana": 512}


@pytest.mark.contract("X01", "X19", "N02", "O08", "O14", "R5", "A13", "V02")
async def test_the_profiles_come_up_whole_and_show_what_happens(compose: Compose, measured: dict[str, str]) -> None:
    for name, value in TRACED.items():
        compose.set(name, value)
    for name in ("PATIENT_DB_PASSWORD", "POSTGRES_PASSWORD"):
        compose.set(name, f"{name[0]}{ODD}")
    compose.set("PROMETHEUS_CONFIG_LOCAL", str(_impatient(compose.env.parent / "prometheus.yml")))
    _comes_up(compose, "monitoring", measured)
    walk(compose.layout())
    await _everything_is_scraped(compose)
    await _groups_are_seen(compose)
    await _a_trace_is_read(compose)
    _fits(compose, measured)
    for name, value in SINKS.items():
        compose.set(name, value)
    _comes_up(compose, "localstack", measured)
    async with cloud(compose.port("LOCALSTACK_PORT")) as there:
        await _events_arrive(compose, there)


def _impatient(path: Path) -> Path:
    """The repository's configuration of Prometheus, but for its seconds between two scrapes."""
    text = (ROOT / "monitoring" / "prometheus.yml").read_text()
    path.write_text(text.replace("scrape_interval: 15s", "scrape_interval: 2s"))
    return path


def _comes_up(compose: Compose, profile: str, measured: dict[str, str]) -> None:
    """The documented command for every service that can be had."""
    wanted = set(compose.run("--profile", profile, "config", "--services").stdout.split()) - set(UNPROVEN)
    began = time.monotonic()
    compose.run("--profile", profile, "up", "-d", "--wait", "--no-build", *sorted(wanted))
    measured[f"--profile {profile} up -d --wait"] = f"{time.monotonic() - began:.0f} s, exit code 0"
    rows = compose.run("--profile", profile, "ps", "-a", "--format", "json").stdout.splitlines()
    states = {row["Service"]: (row["State"], row["ExitCode"]) for row in map(json.loads, rows)}
    ended = {name for name, state in states.items() if state == ("exited", 0)}
    running = {name for name, state in states.items() if state[0] == "running"}
    assert {name for name in wanted if name.endswith("-migrations")} == ended
    assert wanted - ended <= running, states


def asked(compose: Compose, query: str, label: str) -> dict[str, str]:
    """What Prometheus has for it now: the value by that label."""
    url = f"http://127.0.0.1:{compose.port('PROMETHEUS_PORT')}/api/v1/query"
    found: list[dict[str, Any]] = httpx.get(url, params={"query": query}).json()["data"]["result"]
    return {each["metric"][label]: each["value"][1] for each in found}


async def _everything_is_scraped(compose: Compose) -> None:
    """Every job, and behind the one of PostgreSQL each of the servers."""
    ours = {service.name for service in SERVICES}

    def up() -> bool:
        jobs = asked(compose, "up", "job")
        assert jobs == dict.fromkeys({*ours, "redis", "kafka", "postgres", "node", "prometheus"}, "1")
        named = {f"{service.name}-db:5432" for service in SERVICES if service.database_port}
        assert set(asked(compose, "pg_static", "server")) == named
        return True

    await eventually(up, within=180, every=1)


async def _groups_are_seen(compose: Compose) -> None:
    """Every group of ours is stable, and what it has yet to read of each topic is known."""

    def seen() -> bool:
        states = asked(compose, "kafka_consumergroup_group_state", "group")
        assert states == dict.fromkeys(GROUPS, STABLE)
        assert set(asked(compose, "kafka_consumergroup_group_topic_sum_lag", "group")) == set(GROUPS)
        assert asked(compose, "kafka_lag_exporter_up", "job") == {"kafka": "1"}
        return True

    await eventually(seen, within=180, every=1)


def _create(compose: Compose, trace: str) -> str:
    """Somebody new; the id."""
    person = {"name": "Ada Profile", "address": "1 Road", "dateOfBirth": "1990-01-01"}
    person["email"] = f"{uuid4().hex}@example.com"
    with compose.client() as http:
        answer = http.post("/api/patients", json=person, headers={"traceparent": f"00-{trace}-{trace[:16]}-01"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _a_trace_is_read(compose: Compose) -> None:
    """One patient's trace, through Jaeger's API: from the gateway to the projection in another service."""
    trace = uuid4().hex
    _create(compose, trace)
    jaeger = f"http://127.0.0.1:{compose.port('JAEGER_PORT')}/api"

    def complete() -> bool:
        [found] = httpx.get(f"{jaeger}/traces/{trace}").json()["data"] or [None]
        assert found
        process = {name: each["serviceName"] for name, each in found["processes"].items()}
        spans = {(process[each["processID"]], each["operationName"]) for each in found["spans"]}
        assert {
            ("api-gateway", "POST patients"), ("patient-service", "POST /patients"),
            ("billing-service", "billing.BillingService/CreateAccount"), ("patient-service", "send patient.created"),
            ("appointment-service", "process patient.created"), ("appointment-service", "INSERT cached_patient"),
        } <= spans, spans  # fmt: skip
        return True

    await eventually(complete, within=90, every=0.5)
    assert {service.name for service in SERVICES} <= set(httpx.get(f"{jaeger}/services").json()["data"])


def _fits(compose: Compose, measured: dict[str, str]) -> None:
    stats = compose.engine.docker("stats", "--no-stream", "--format", "{{.MemUsage}}").stdout
    used = sum(_mebibytes(line.split(" / ")[0]) for line in stats.splitlines())
    more = sum(PUBLISHED[name] for name in UNPROVEN)
    measured["memory with monitoring"] = f"{used:.0f} MiB measured, and {more} published for {', '.join(UNPROVEN)}"
    assert used + more <= MEBIBYTES, stats


def _mebibytes(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)([A-Za-z]+)", text.strip()).groups()  # type: ignore[union-attr]
    return float(number) * {"B": 1 / 2**20, "KiB": 1 / 2**10, "MiB": 1, "GiB": 2**10}[unit]


async def _events_arrive(compose: Compose, there: Cloud) -> None:
    """A new patient is a message of the topic and a line of an object, and neither says who it is."""
    patient = _create(compose, uuid4().hex)
    published = await eventually(lambda: there.published(patient), within=60, every=0.5)
    kept = await eventually(lambda: there.kept(patient), within=60, every=0.5)
    assert published == kept
    assert published.keys() == {"eventId", "occurredAt", "subjectId", "type"}
    secure = f"https://127.0.0.1:{compose.port('LOCALSTACK_TLS_PORT')}/_localstack/health"
    services = httpx.get(secure, verify=False).json()["services"]
    assert {services[name] for name in ("s3", "sns", "sqs")} == {"running"}
