"""The rules: valid, tested, explained, and about metrics that there are."""

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.monitoring.expressions import metrics
from tests.monitoring.live import Family
from tests.monitoring.programs import program
from tests.monitoring.test_metrics import documented

MONITORING = ROOT / "monitoring"
FILES = sorted((MONITORING / "rules").glob("*.yml"))
TESTS = sorted((MONITORING / "rules" / "tests").glob("*.yml"))
OF_THE_CLUSTER = {"kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"}
OF_EXPORTERS = {"up", "redis_up", "pg_up", "kafka_lag_exporter_up"}
OF_EXPORTERS |= {"node_filesystem_avail_bytes", "node_filesystem_size_bytes"}


def rules() -> list[dict[str, Any]]:
    documents = [yaml.safe_load(path.read_text()) for path in FILES]
    return [rule for document in documents for group in document["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def run(name: str, *words: str | Path) -> str:
    done = subprocess.run([program(name), *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_and_its_rules_are_valid() -> None:
    assert f"{len(FILES)} rule files found" in run("promtool", "check", "config", MONITORING / "prometheus.yml")


@pytest.mark.contract("O12", "O16")
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_each_alert_fires_when_it_should(path: Path) -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", path)


@pytest.mark.contract("O12")
def test_each_alert_has_a_firing_and_a_silent_case() -> None:
    cases: Counter[tuple[str, bool]] = Counter()
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                cases[case["alertname"], bool(case["exp_alerts"])] += 1
    names = {rule["alert"] for rule in alerts()}
    assert {name for name, _ in cases} == names
    assert all(cases[name, fires] for name in names for fires in (True, False))


def test_each_alert_has_a_runbook_that_says_what_it_means_where_to_look_and_what_to_do() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == {rule["alert"] for rule in alerts()}
    for rule in alerts():
        url = rule["annotations"]["runbook_url"]
        text = (ROOT / url).read_text()
        assert url == f"docs/runbooks/{rule['alert']}.md"
        assert text.startswith(f"# {rule['alert']}\n")
        assert [line for line in text.splitlines() if line.startswith("## ")] == ["## Meaning", "## Look", "## Do"]


def test_each_alert_is_routed_by_its_severity() -> None:
    run("amtool", "check-config", MONITORING / "alertmanager.yml")
    for severity in {rule["labels"]["severity"] for rule in alerts()}:
        route = ["config", "routes", "test", f"--config.file={MONITORING / 'alertmanager.yml'}", f"severity={severity}"]
        assert run("amtool", *route).strip() == severity


def test_they_ask_only_for_metrics_that_there_are(busy: dict[str, list[Family]]) -> None:
    served = {family.full_name for families in busy.values() for family in families}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = {name for rule in rules() for name in metrics(rule["expr"])}
    assert len(asked & served) > 10
    of_the_operator = {name for name, _, _ in documented("The operator")}
    assert asked - served - recorded - of_the_operator - OF_EXPORTERS == OF_THE_CLUSTER
    assert recorded <= asked
