"""The images: small, shared, without rights, and ended by SIGTERM."""

import importlib.util
import json
import subprocess
import time
from typing import Any

import pytest
from hpctl.layout import PORTS, ROOT, SERVICES

from tests.engine.base import PYTHON
from tests.engine.daemon import Engine
from tests.engine.images import SERVICE_IMAGES, TARGETS

MEGABYTE = 1_000_000


def inspected(docker: Engine, image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker.docker("image", "inspect", image).stdout)[0]
    return found


@pytest.mark.contract("A19", "D14")
@pytest.mark.parametrize("name", TARGETS)
def test_an_image_adds_at_most_250_megabytes_to_its_base(docker: Engine, name: str, measured: dict[str, str]) -> None:
    added = inspected(docker, f"{name}:latest")["Size"] - inspected(docker, PYTHON)["Size"]
    measured[f"{name} above its base"] = f"{added / MEGABYTE:.0f} MB"
    assert added <= 250 * MEGABYTE


def test_services_share_the_layer_of_their_libraries(docker: Engine) -> None:
    layers = [inspected(docker, f"{name}:latest")["RootFS"]["Layers"] for name in SERVICE_IMAGES]
    shared = set.intersection(*map(set, layers))
    own = [sum(layer not in shared for layer in each) for each in layers]
    assert own == [1] * len(SERVICE_IMAGES)


@pytest.mark.parametrize("name", SERVICE_IMAGES)
def test_an_image_says_what_it_is_and_runs_as_nobody_in_particular(docker: Engine, name: str) -> None:
    config = inspected(docker, f"{name}:latest")["Config"]
    assert config["User"] == "10001:10001"
    assert config["Cmd"] == ["/app/run"] and not config["Entrypoint"]
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-I", "-S", "/app/healthcheck.py"]
    label = "org.opencontainers.image."
    assert config["Labels"][f"{label}title"] == name and config["Labels"][f"{label}licenses"] == "MIT"
    assert {f"{label}version", f"{label}revision", f"{label}description"} <= set(config["Labels"])


@pytest.mark.parametrize("name", ["patient-service", "hpctl", "healthcare-operator"])
def test_no_tool_of_the_build_is_left(docker: Engine, name: str) -> None:
    search = "for tool in gcc cc make uv git curl; do command -v $tool; done; ls /app/.venv/bin; ls -a / /app"
    words = ["run", "--rm", "--network=none", "--entrypoint=sh", f"{name}:latest", "-c", search]
    left = set(docker.docker(*words).stdout.split())
    assert not {"pip", "uv", "uv.lock", "pyproject.toml", "services", "Dockerfile", ".git"} & left
    assert not [tool for tool in left if tool.endswith(("/gcc", "/cc", "/make", "/uv", "/git", "/curl"))]


@pytest.mark.contract("A18")
def test_a_service_runs_with_a_read_only_root_and_obeys_sigterm(docker: Engine) -> None:
    words = ["--read-only", "--cap-drop=ALL", "--tmpfs=/tmp", "--network=none", "-e", "SHUTDOWN_DRAIN_SECONDS=0"]
    docker.docker("run", "-d", "--name=alone", *words, "api-gateway:latest")
    probe = "import urllib.request as u; u.urlopen('http://127.0.0.1:4004/actuator/health/liveness', timeout=2)"
    deadline = time.monotonic() + 60
    while docker.docker("exec", "alone", "python", "-c", probe, check=False).returncode:
        assert time.monotonic() < deadline, docker.docker("logs", "alone").stderr
    assert "python -m api_gateway" in docker.docker("top", "alone", "-o", "pid,args").stdout
    began = time.monotonic()
    docker.docker("stop", "--time=30", "alone")
    assert time.monotonic() - began < 10
    assert docker.docker("inspect", "-f", "{{.State.ExitCode}}", "alone").stdout.strip() == "0"
    docker.docker("rm", "alone")


def test_the_health_check_knows_every_service() -> None:
    path = ROOT / "docker" / "healthcheck.py"
    spec = importlib.util.spec_from_file_location("healthcheck", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert {each.name: (each.port, PORTS[each.port]) for each in SERVICES} == module.PORTS


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    linted = subprocess.run(["hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")
    assert "<<" not in (ROOT / "Dockerfile").read_text()  # older BuildKits know no heredocs


def test_the_operator_finds_the_charts_and_what_they_link_to(docker: Engine) -> None:
    look = "import os, healthcare_operator.settings as s; c = s.Settings().charts_dir; print(*os.listdir(c))"
    look += "; assert (c / 'monitoring/files/prometheus.yml').is_file(); import helm_python"
    words = ["run", "--rm", "--network=none", "--read-only", "healthcare-operator:latest", "python", "-c", look]
    assert {"patient-service", "service", "kafka", "postgres"} <= set(docker.docker(*words).stdout.split())
