"""The built-in monitoring: its configuration read by Prometheus and Alertmanager themselves."""

import subprocess
from pathlib import Path

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
