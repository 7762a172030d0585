"""The exporters beside the built-in servers, as a platform starts them: the real programs against real servers."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from healthcare_operator.helm import Charts
from healthcare_operator.platform import Manifest, Platform
from healthcare_operator.render import components
from healthcare_operator.settings import Settings
from healthcare_operator.spec import Spec
from hpctl.embedded.postgres import Postgres
from hpctl.embedded.valkey import Valkey

from tests.charts.policies import allowed
from tests.engine.standins import image_of
from tests.monitoring.observatory import Program

pytestmark = pytest.mark.contract("O12")

BUILTIN: dict[str, Any] = {name: {"mode": "builtin"} for name in ("kafka", "postgres", "redis")}
PORTS = {"postgres": 9187, "redis": 9121}
AWKWARD = 'quo"te\\back'


def rendered(**monitoring: Any) -> dict[str, list[Manifest]]:
    spec = Spec.model_validate({**BUILTIN, "monitoring": monitoring})
    return components(Platform("care", "here", "uid", 1, spec), Charts(Settings().charts_dir))


def of(found: dict[str, list[Manifest]], component: str, kind: str) -> list[Manifest]:
    return [each for each in found[component] if each["kind"] == kind]


def pod(component: str) -> Manifest:
    [found] = of(rendered(mode="builtin", exporters=True), component, "StatefulSet")
    spec: Manifest = found["spec"]["template"]["spec"]
    return spec


def environ(component: str) -> dict[str, str]:
    """The variables of a server's exporter."""
    [found] = [each for each in pod(component)["containers"] if each["name"] == "exporter"]
    return {each["name"]: each["value"] for each in found["env"]}


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    server = Valkey(tmp_path / "valkey", password="first")
    server.start()
    client = redis.Redis(port=server.port, password="first")
    client.config_set("requirepass", AWKWARD)
    client.close()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    server = Postgres(tmp_path / "postgres", durable=False)
    server.start()
    server.create_database("patient", "secret")
    try:
        yield server
    finally:
        server.stop()


def page(directory: Path, name: str, variables: dict[str, str]) -> str:
    """What an exporter tells when it is asked once."""
    exporter = Program(directory, name, "/", ["--web.listen-address=127.0.0.1:{port}"], variables)
    exporter.start()
    try:
        return str(exporter.get("/metrics").text)
    finally:
        exporter.stop()


def test_redis_is_looked_at_with_the_password_of_its_secret(valkey: Valkey, tmp_path: Path) -> None:
    """Whatever characters a person put into it."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "password").write_text(AWKWARD)
    [init] = pod("redis")["initContainers"]
    script = init["args"][0].replace("/etc/healthcare/redis", str(tmp_path / "secret"))
    script = script.replace("/run/exporter", str(tmp_path)).replace(":6379", f":{valkey.port}")
    subprocess.run(["sh", "-ec", script], check=True)
    variables = environ("redis")
    assert variables == {
        "REDIS_ADDR": "redis://127.0.0.1:6379",
        "REDIS_PASSWORD_FILE": "/run/exporter/passwords.json",
    }
    here = {"REDIS_ADDR": f"redis://127.0.0.1:{valkey.port}", "REDIS_PASSWORD_FILE": f"{tmp_path}/passwords.json"}
    assert "\nredis_up 1\n" in page(tmp_path, "prometheus-redis-exporter", here)
    assert (tmp_path / "passwords.json").stat().st_mode & 0o077 == 0


def test_postgres_is_looked_at_by_a_role_that_may_do_nothing_else(postgres: Postgres, tmp_path: Path) -> None:
    [scripts] = of(rendered(mode="builtin", exporters=True), "postgres", "ConfigMap")
    made = scripts["data"]["roles.sh"].split("SELECT 'CREATE ROLE monitor")[1].split("\nSQL")[0]
    for _ in range(2):  # as often as the script runs
        postgres.execute(f"SELECT 'CREATE ROLE monitor{made}")
    assert postgres.execute("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = 'monitor'") == "f"
    assert postgres.execute("SELECT pg_has_role('monitor', 'pg_monitor', 'usage')") == "t"
    assert "monitor:x:10002:" in scripts["data"]["passwd"]
    [name] = environ("postgres").values()
    assert name == "user=monitor host=/var/run/postgresql dbname=postgres sslmode=disable"
    postgres.execute("ALTER ROLE monitor PASSWORD 'x'")  # there is no socket here by which it would be known
    here = name.replace("/var/run/postgresql", f"127.0.0.1 port={postgres.port} password=x")
    told = page(tmp_path, "prometheus-postgres-exporter", {"DATA_SOURCE_NAME": here})
    assert "\npg_up 1\n" in told
    assert 'datname="patient"' in told
    assert "pg_exporter_last_scrape_error 0" in told


@pytest.mark.parametrize("component", PORTS)
def test_an_exporter_is_the_image_of_compose_and_runs_only_where_it_is_asked_for(component: str) -> None:
    [found] = [each for each in pod(component)["containers"] if each["name"] == "exporter"]
    assert found["image"] == image_of(f"{component}-exporter")
    for monitoring in ({"mode": "builtin"}, {"mode": "disabled", "exporters": True}, {}):
        [without] = of(rendered(**monitoring), component, "StatefulSet")
        spec = without["spec"]["template"]["spec"]
        assert "exporter" not in [each["name"] for each in spec["containers"]]
        assert "initContainers" not in spec


def test_the_built_in_prometheus_asks_each_exporter_where_its_service_leads() -> None:
    found = rendered(mode="builtin", exporters=True)
    files = next(each for each in of(found, "monitoring", "ConfigMap") if "prometheus.yml" in each.get("data", {}))
    jobs = {each["job_name"]: each for each in yaml.safe_load(files["data"]["prometheus.yml"])["scrape_configs"]}
    for component, port in PORTS.items():
        assert jobs[component]["static_configs"] == [{"targets": [f"care-{component}:{port}"]}]
        [service] = of(found, component, "Service")
        assert {"name": "metrics", "port": port, "targetPort": "metrics"} in service["spec"]["ports"]
        assert ("prometheus", component, port) in allowed()
    assert not of(found, "redis", "PodMonitor")


@pytest.mark.parametrize("mode", ["prometheus-operator", "external"])
def test_another_prometheus_finds_the_exporters_under_the_names_that_the_rules_ask_for(mode: str) -> None:
    found = rendered(mode=mode, exporters=True, labels={"release": "prometheus"})
    for component, port in PORTS.items():
        [monitor] = of(found, component, "PodMonitor")
        [stateful_set] = of(found, component, "StatefulSet")
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        pods = stateful_set["spec"]["template"]
        ports = [each for container in pods["spec"]["containers"] for each in container.get("ports", [])]
        assert {"name": endpoint["port"], "containerPort": port} in ports
        assert monitor["spec"]["selector"]["matchLabels"].items() <= pods["metadata"]["labels"].items()
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": component}]
