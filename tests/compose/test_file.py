"""docker-compose.yml read as Compose reads it; no engine is needed."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from chassis.environ import variable
from hpctl.layout import PORTS, ROOT, SERVICES

from tests.contract.configuration import settings_classes
from tests.engine.needs import client_configuration

MIGRATED = [service.name for service in SERVICES if service.database_port]
OURS = [service.name for service in SERVICES]
# Decided by the container itself: its own ports stay, and a debugger belongs to a developer's machine.
FIXED = {"HOST", "DEBUG_PORT", "APP_VERSION", "REDIS_PORT", "BILLING_SERVICE_GRPC_PORT", "DISK_SPACE_PATH"} | {
    service.port for service in SERVICES
}
# Files that Kubernetes and other platforms mount.
MOUNTED = re.compile(r"_(DIR|FILE)$")


def read(*profiles: str, env: Path = ROOT / ".env.example", **environ: str) -> dict[str, Any]:
    program = client_configuration() / "cli-plugins" / "docker-compose"
    words = [word for profile in profiles for word in ("--profile", profile)]
    done = subprocess.run(
        [program, "--env-file", env, "-f", ROOT / "docker-compose.yml", *words, "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]} | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def published(config: dict[str, Any]) -> dict[str, list[tuple[str, int, int]]]:
    return {
        name: [(port["host_ip"], int(port["published"]), port["target"]) for port in service.get("ports", [])]
        for name, service in config["services"].items()
    }


@pytest.mark.contract("A13", "A15", "A16", "A17")
def test_names_ports_and_network_are_the_documented_ones() -> None:
    config = read("*")
    wanted = {*OURS, *(f"{name}-db" for name in MIGRATED), "redis", "kafka", "prometheus", "grafana", "localstack"}
    assert wanted <= set(config["services"])
    assert all(config["services"][name]["container_name"] == name for name in wanted)
    assert config["networks"]["default"]["name"] == "internal"
    ports = {name: [(host, inside) for _, host, inside in each] for name, each in published(config).items()}
    assert {service.name: (PORTS[service.port],) * 2 in ports[service.name] for service in SERVICES} == dict.fromkeys(
        OURS, True
    )
    databases = {f"{name}-db": ports[f"{name}-db"] for name in MIGRATED}
    assert databases == {f"{s.name}-db": [(PORTS[s.database_port], 5432)] for s in SERVICES if s.database_port}
    assert (9001, 9001) in ports["billing-service"]
    assert ports["kafka"] == [(9092, 9092), (9094, 9094)]
    assert ports["prometheus"] == [(9090, 9090)] and ports["grafana"] == [(3000, 3000)]
    assert ports["localstack"] == [(4566, 4566), (443, 443)]
    assert read(DOCKER_NETWORK="elsewhere")["networks"]["default"]["name"] == "elsewhere"


@pytest.mark.contract("A13")
def test_monitoring_and_localstack_are_there_only_when_asked_for() -> None:
    assert not {"prometheus", "grafana", "localstack"} & set(read()["services"])
    assert "localstack" not in read("monitoring")["services"]


@pytest.mark.contract("V02")
def test_every_port_and_secret_comes_from_the_environment() -> None:
    names = re.findall(r"\$\{([A-Z_]+_PORT):-(\d+)\}", (ROOT / "docker-compose.yml").read_text())
    assert {name for name, _ in names} >= {name for name in PORTS if name != "KAFKA_CONTROLLER_PORT"}
    for name, default in set(names):
        before = [host for each in published(read("*")).values() for _, host, _ in each]
        after = [host for each in published(read("*", **{name: "23456"})).values() for _, host, _ in each]
        assert int(default) in before and 23456 in after, name
    secrets = ("POSTGRES_PASSWORD", "PATIENT_DB_PASSWORD", "REDIS_PASSWORD", "JWT_SECRET", "GRAFANA_PASSWORD")
    for name in secrets:
        assert "not-the-default" in json.dumps(read("*", **{name: "not-the-default"})), name


def test_nothing_listens_to_the_outside_by_default() -> None:
    assert {address for each in published(read("*")).values() for address, _, _ in each} == {"127.0.0.1"}
    opened = published(read("*", GATEWAY_BIND_ADDRESS="0.0.0.0"))
    assert {name for name, each in opened.items() for address, _, _ in each if address != "127.0.0.1"} == {
        "api-gateway"
    }


@pytest.mark.contract("V02")
@pytest.mark.parametrize("service", OURS)
def test_every_setting_of_a_service_can_come_from_the_environment(service: str) -> None:
    fields = settings_classes()[service].model_fields
    wanted = {variable(name, field) for name, field in fields.items()} - FIXED
    config = read(**dict.fromkeys(wanted, "1"))["services"][service]["environment"]
    assert {name for name in wanted if name not in config and not MOUNTED.search(name)} == set()


@pytest.mark.contract("X01")
@pytest.mark.parametrize("profile", ["", "monitoring", "localstack"])
def test_every_migration_is_waited_for_by_its_service(profile: str) -> None:
    services = read(profile)["services"] if profile else read()["services"]
    for name in MIGRATED:
        waits = services[name]["depends_on"]
        assert waits[f"{name}-migrations"]["condition"] == "service_completed_successfully"
        assert services[f"{name}-migrations"]["depends_on"][f"{name}-db"]["condition"] == "service_healthy"


@pytest.mark.contract("A19", "D14")
def test_our_images_come_from_one_dockerfile() -> None:
    services = read()["services"]
    for name in OURS:
        assert services[name]["image"] == f"{name}:latest"
        assert services[name]["build"]["args"]["SERVICE"] == name
        assert services[name]["build"]["dockerfile"] == "Dockerfile"
    assert [path.relative_to(ROOT) for path in ROOT.glob("services/**/Dockerfile*")] == []


@pytest.mark.contract("D15")
def test_images_of_others_are_pinned_and_alive() -> None:
    images = {service["image"] for service in read("*")["services"].values() if "build" not in service}
    makers = ("postgres:", "valkey/", "apache/", "prom/", "grafana/", "jaegertracing/", "oliver006/")
    makers += ("prometheuscommunity/", "ghcr.io/softwaremill/", "localstack/localstack:4.")
    for image in images:
        assert image.startswith(makers), image
        assert re.search(r":v?\d+", image), image


@pytest.mark.contract("O07", "X05")
def test_prometheus_is_configured_by_a_relative_or_an_absolute_path(tmp_path: Path) -> None:
    def mounts(**environ: str) -> dict[str, str]:
        volumes = read("monitoring", **environ)["services"]["prometheus"]["volumes"]
        return {volume["target"]: volume["source"] for volume in volumes}

    assert mounts()["/etc/prometheus/prometheus.yml"] == str(ROOT / "monitoring" / "prometheus.yml")
    elsewhere = mounts(PROMETHEUS_CONFIG_LOCAL="/srv/prometheus.yml", PROMETHEUS_CONFIG_CONTAINER="/etc/p.yml")
    assert elsewhere["/etc/p.yml"] == "/srv/prometheus.yml"
    assert (ROOT / "monitoring" / "prometheus.yml").is_file()


def test_what_is_ours_has_few_rights_and_limits() -> None:
    for name, service in read("*")["services"].items():
        assert int(service["mem_limit"]) > 0, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name in OURS or name.endswith("-migrations"):
            assert service["read_only"] and service["cap_drop"] == ["ALL"], name


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("plain", "plain"),
        ("  blanks around  ", "blanks around"),
        ("a #1", "a"),
        ("a#1", "a#1"),
        ("'a #1'", "a #1"),
        ("' leading and trailing '", " leading and trailing "),
        ("'$HOME \\ \"'", '$HOME \\ "'),
        ('"a #1"', "a #1"),
        ("'it is' # said", "it is"),
    ],
)
def test_blanks_and_hashes_are_read_as_the_example_says(written: str, read_as: str, tmp_path: Path) -> None:
    (tmp_path / "env").write_text(f"REDIS_PASSWORD={written}\n")
    environment = read(env=tmp_path / "env")["services"]["redis"]["environment"]
    assert environment["REDIS_PASSWORD"].replace("$$", "$") == read_as


def test_files_of_the_repository_can_be_read_where_selinux_is_enforced() -> None:
    mounts = [each for service in read("*")["services"].values() for each in service.get("volumes", ())]
    ours = [each for each in mounts if each["type"] == "bind" and each["source"] != "/"]
    assert len(ours) >= 6
    assert all(each["bind"]["selinux"] == "z" for each in ours)
    bound = (ROOT / "docker-compose.bind.yml").read_text()
    assert bound.count("./databases/") == bound.count(':z"]') > 0
