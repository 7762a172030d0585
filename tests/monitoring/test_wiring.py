"""The files meet: what Compose mounts, what Prometheus asks for, and where Grafana looks."""

import re
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

MONITORING = ROOT / "monitoring"


def compose() -> dict[str, Any]:
    """docker-compose.yml as it is with an empty environment."""
    text = (ROOT / "docker-compose.yml").read_text()
    content: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))
    return content["services"]


def mounts(service: str) -> dict[str, str]:
    volumes = [volume.split(":") for volume in compose()[service]["volumes"]]
    return {where: what for what, where, *_ in volumes}


@pytest.mark.contract("O07")
def test_prometheus_reads_the_repositorys_configuration() -> None:
    found = mounts("prometheus")
    assert found["/etc/prometheus/prometheus.yml"] == "./monitoring/prometheus.yml"
    assert "--config.file=/etc/prometheus/prometheus.yml" in compose()["prometheus"]["command"]
    assert found["/etc/prometheus/rules"] == "./monitoring/rules"
    assert mounts("alertmanager")["/etc/alertmanager/alertmanager.yml"] == "./monitoring/alertmanager.yml"


@pytest.mark.contract("O08")
def test_every_target_is_a_service_of_compose() -> None:
    jobs = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    targets = {target.partition(":")[0] for job in jobs for each in job["static_configs"] for target in each["targets"]}
    services = compose()
    assert targets - set(services) == {"localhost"}
    assert {name for name in services if name.endswith(("-exporter", "-service", "-gateway"))} <= targets
    by_name = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
    for name, [target] in by_name.items():
        if name.endswith(("-service", "-gateway")):
            assert any(str(port).endswith(f":{target.partition(':')[2]}") for port in services[name]["ports"]), target


@pytest.mark.contract("A12")
def test_grafana_is_published_and_asked_for_its_health() -> None:
    grafana = compose()["grafana"]
    assert grafana["ports"] == ["127.0.0.1:3000:3000"]
    assert "http://127.0.0.1:3000/api/health" in grafana["healthcheck"]["test"][-1]


def test_grafana_finds_its_source_and_its_dashboards() -> None:
    provisioning = MONITORING / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "files.yml").read_text())["providers"]
    found = mounts("grafana")
    assert found[provider["options"]["path"]] == "./monitoring/grafana/dashboards"
    assert found["/etc/grafana/provisioning"] == "./monitoring/grafana/provisioning"
