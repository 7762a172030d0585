"""The built-in monitoring: its configuration read by Prometheus and Alertmanager themselves."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.rendering import ROOT, SERVICES, Manifest, of, render
from tests.monitoring.programs import program

RULES = ROOT / "monitoring" / "rules"


def _told(manifests: list[Manifest], name: str) -> dict[str, str]:
    [found] = [each["data"] for each in of(manifests, "ConfigMap") if each["metadata"]["name"] == name]
    return found


def _check(tool: str, *words: str | Path) -> None:
    done = subprocess.run([program(tool), *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_understands_its_configuration_and_every_rule(tmp_path: Path) -> None:
    told = _told(render("monitoring", name="monitoring"), "prometheus")
    for name, content in told.items():
        (tmp_path / name).write_text(content.replace("/etc/prometheus", str(tmp_path)))
    _check("promtool", "check", "config", tmp_path / "prometheus.yml")
    groups = {path.stem: yaml.safe_load(path.read_text()) for path in RULES.glob("*.yml")}
    assert {name.removesuffix(".rules.yml"): yaml.safe_load(told[name]) for name in told if "rules" in name} == groups


def test_alertmanager_routes_and_inhibits_as_under_compose() -> None:
    told = _told(render("monitoring", name="monitoring"), "alertmanager")
    assert told["alertmanager.yaml"] == (ROOT / "monitoring" / "alertmanager.yml").read_text()


def test_alertmanager_of_prometheus_operator_routes_and_inhibits_as_under_compose(tmp_path: Path) -> None:
    told = render("monitoring", {"mode": "prometheus-operator"}, name="monitoring")
    [manager], [secret] = of(told, "Alertmanager"), of(told, "Secret")
    assert manager["spec"]["configSecret"] == secret["metadata"]["name"]
    content = base64.b64decode(secret["data"]["alertmanager.yaml"])  # the key that prometheus-operator looks for
    assert content == (ROOT / "monitoring" / "alertmanager.yml").read_bytes()
    (tmp_path / "alertmanager.yaml").write_bytes(content)
    _check("amtool", "check-config", tmp_path / "alertmanager.yaml")
    mine = render("monitoring", {"mode": "prometheus-operator", "alertmanager": {"configSecret": "mine"}})
    assert not of(mine, "Secret")
    assert of(mine, "Alertmanager")[0]["spec"]["configSecret"] == "mine"


@pytest.mark.parametrize("mode", ["builtin", "prometheus-operator", "external"])
def test_one_value_says_where_every_runbook_is(mode: str) -> None:
    base = "https://git.example/care/blob/v1"
    links = {
        rule["annotations"]["runbook_url"]
        for content in _rules(mode, {"mode": mode, "runbookBaseUrl": base})
        for group in content["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    pages = {path.name for path in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert links == {f"{base}/docs/runbooks/{page}" for page in pages}


def _rules(mode: str, values: dict[str, Any]) -> list[Manifest]:
    manifests = render("monitoring", values, name="monitoring")
    if mode != "builtin":
        return [each["spec"] for each in of(manifests, "PrometheusRule")]
    told = _told(manifests, "prometheus")
    return [yaml.safe_load(text) for name, text in told.items() if name.endswith(".rules.yml")]


def test_pods_of_other_operators_are_scraped_under_the_names_that_the_rules_ask_for() -> None:
    """`up{job="kafka"}` is what InfrastructureDown looks at; a PodMonitor's own job would be <namespace>/<name>."""
    watched = {"kafka": {"metrics": {"enabled": True}}, "postgres": {"podMonitor": {"enabled": True}}}
    for chart, mode in (("kafka", "strimzi"), ("postgres", "cloudnative-pg")):
        [monitor] = of(render(chart, {"mode": mode, **watched[chart]}), "PodMonitor")
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": chart}]


def test_every_pod_of_every_service_is_scraped_under_the_name_of_its_service() -> None:
    """Behind one address a second replica's counters would look like the first one's, restarted."""
    told = _told(render("monitoring", name="monitoring"), "prometheus")
    jobs = {each["job_name"]: each for each in yaml.safe_load(told["prometheus.yml"])["scrape_configs"]}
    assert jobs.keys() == set(SERVICES)
    for service in SERVICES:
        [sought] = jobs[service]["dns_sd_configs"]
        names = {each["metadata"]["name"]: each["spec"] for each in of(render(service, name=service), "Service")}
        spec = names[sought["names"][0]]
        assert spec["clusterIP"] == "None"
        assert spec["publishNotReadyAddresses"] is True
        assert sought["port"] in [each["port"] for each in spec["ports"]]


def test_rules_are_the_same_in_both_modes() -> None:
    rules = of(render("monitoring", {"mode": "prometheus-operator"}), "PrometheusRule")
    expected = [yaml.safe_load(path.read_text())["groups"] for path in sorted(RULES.glob("*.yml"))]
    assert sorted((each["spec"]["groups"] for each in rules), key=str) == sorted(expected, key=str)
