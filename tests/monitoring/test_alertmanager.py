"""monitoring/alertmanager.yml at work in a real Alertmanager."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from chassis.testing import eventually

from tests.monitoring.observatory import MONITORING, Program

# Each with its job and its namespace; Compose knows no namespaces.
FIRING = [
    ("ServiceDown", "patient-service", "one"),
    ("OutboxStale", "patient-service", "one"),
    ("OutboxStale", "patient-service", "two"),
    ("OutboxStale", "billing-service", "one"),
    ("ErrorBudgetBurnsFast", "api-gateway", "one"),
    ("ErrorBudgetBurnsSlowly", "api-gateway", "one"),
    ("ErrorBudgetBurnsSlowly", "api-gateway", "two"),
    ("ServiceDown", "auth-service", ""),
    ("LatencyHigh", "auth-service", ""),
    ("KafkaUnavailable", "", "three"),
    ("OutboxStale", "patient-service", "three"),
    ("ProjectionStale", "appointment-service", "three"),
    ("BreakerOpen", "patient-service", "three"),
]
EXPLAINED = {
    ("OutboxStale", "patient-service", "one"),
    ("ErrorBudgetBurnsSlowly", "api-gateway", "one"),
    ("LatencyHigh", "auth-service", ""),
    ("OutboxStale", "patient-service", "three"),
    ("ProjectionStale", "appointment-service", "three"),
}


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Program]:
    words = [f"--config.file={MONITORING / 'alertmanager.yml'}", "--web.listen-address=127.0.0.1:{port}"]
    words += ["--cluster.listen-address=", f"--storage.path={tmp_path / 'alerts'}"]
    server = Program(tmp_path, "alertmanager", "/-/ready", words, {})
    try:
        server.start()
        yield server
    finally:
        server.stop()


def named(labels: dict[str, str]) -> tuple[str, str, str]:
    return labels["alertname"], labels.get("job", ""), labels.get("namespace", "")


@pytest.mark.contract("O12")
async def test_what_is_down_silences_what_it_takes_along_in_its_own_namespace(alertmanager: Program) -> None:
    told = [{"alertname": alert, "job": job, "namespace": ns, "severity": "page"} for alert, job, ns in FIRING]
    labels = [{name: value for name, value in each.items() if value} for each in told]
    url = f"http://127.0.0.1:{alertmanager.port}/api/v2/alerts"
    assert httpx.post(url, json=[{"labels": each} for each in labels]).status_code == 200

    def shown() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = alertmanager.get("/api/v2/alerts").json()
        return found

    def silenced() -> set[tuple[str, str, str]]:
        return {named(each["labels"]) for each in shown() if each["status"]["inhibitedBy"]}

    await eventually(lambda: len(shown()) == len(FIRING) and silenced() == EXPLAINED, within=30, every=0.2)
