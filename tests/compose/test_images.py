"""The images: small, shared, without rights, and ended by SIGTERM."""

import importlib.util
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
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
def test_an_image_takes_at_most_250_megabytes_with_its_base(
    docker: Engine, name: str, measured: dict[str, str]
) -> None:
    size, base = inspected(docker, f"{name}:latest")["Size"], inspected(docker, PYTHON)["Size"]
    measured[f"image {name}"] = f"{size / MEGABYTE:.0f} MB, {base / MEGABYTE:.0f} of them its base"
    assert size <= 250 * MEGABYTE


def test_images_share_the_layer_of_their_libraries(docker: Engine) -> None:
    layers = [inspected(docker, f"{name}:latest")["RootFS"]["Layers"] for name in SERVICE_IMAGES]
    shared = set.intersection(*map(set, layers))
    own = [sum(layer not in shared for layer in each) for each in layers]
    assert own == [1] * len(SERVICE_IMAGES)
    assert set(inspected(docker, "hpctl:latest")["RootFS"]["Layers"][:-1]) <= shared


@pytest.mark.parametrize("name", TARGETS)
def test_an_image_says_what_it_is_and_runs_as_nobody_in_particular(docker: Engine, name: str) -> None:
    config = inspected(docker, f"{name}:latest")["Config"]
    assert config["User"] == "10001:10001"
    label = "org.opencontainers.image."
    assert config["Labels"][f"{label}title"] == name and config["Labels"][f"{label}licenses"] == "MIT"
    assert {f"{label}version", f"{label}revision", f"{label}description"} <= set(config["Labels"])
    if name in SERVICE_IMAGES:
        assert config["Cmd"] == ["/app/run"] and not config["Entrypoint"]
        assert config["Healthcheck"]["Test"] == ["CMD", "python", "-I", "-S", "/app/healthcheck.py"]


@pytest.mark.parametrize("name", TARGETS)
def test_an_image_has_all_its_program_needs_and_no_tool_of_its_build(docker: Engine, name: str) -> None:
    # Tests' helpers, a program that starts when it is imported, and hpctl's embedded gateways.
    everything = "skipped = {'testing', '__main__', 'routing'}\n"
    everything += "import importlib as i, pkgutil, sys; p = i.import_module(sys.argv[1])\n"
    everything += (
        "for m in pkgutil.iter_modules(p.__path__): m.name in skipped or i.import_module(p.__name__ + '.' + m.name)"
    )
    search = (
        f'python -W error -c "{everything}" {name.replace("-", "_")} || exit 9; ls -1 /app/.venv/bin; ls -1a / /app'
    )
    search += "; for tool in gcc cc make ld strip uv git curl; do command -v $tool; done; echo . > /app/written 2>&1"
    rights = ["--network=none", "--read-only", "--cap-drop=ALL", "--entrypoint=sh"]
    done = docker.docker("run", "--rm", *rights, f"{name}:latest", "-c", f"{search}; true")
    left = set(done.stdout.split())
    assert not {"pip", "uv", "debugpy", "uv.lock", "pyproject.toml", "services", "Dockerfile", ".git"} & left
    assert not [tool for tool in left if tool.startswith(("/usr/bin/", "/usr/local/bin/", "/opt/"))]
    assert "Read-only file system" in done.stderr + done.stdout


@pytest.fixture
def alone(docker: Engine) -> Iterator[None]:
    """Afterwards no container of that name is there."""
    yield
    docker.docker("rm", "-f", "alone", check=False)


@pytest.mark.usefixtures("alone")
def test_the_operator_runs_with_a_read_only_root_and_obeys_sigterm(docker: Engine, tmp_path: Path) -> None:
    """Against an API server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        named = {"clusters": [{"name": "a", "cluster": {"server": server}}], "users": [{"name": "a", "user": {}}]}
        contexts = {"contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}], "current-context": "a"}
        (tmp_path / "config").write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **named, **contexts}))
        tmp_path.chmod(0o755)
        mounts = [f"--volume={tmp_path}:/kube:ro", "-e", "KUBECONFIG=/kube/config", "-e", "PORT=0"]
        rights = ["--read-only", "--cap-drop=ALL", "--tmpfs=/tmp", "--network=host"]
        docker.docker("run", "-d", "--name=alone", *rights, *mounts, "healthcare-operator:latest")
        silent.settimeout(60)
        with silent.accept()[0]:
            _ends(docker, "python -m healthcare_operator")


@pytest.mark.usefixtures("alone")
@pytest.mark.contract("A18")
def test_a_service_runs_with_a_read_only_root_and_obeys_sigterm(docker: Engine) -> None:
    words = ["--read-only", "--cap-drop=ALL", "--tmpfs=/tmp", "--network=none", "-e", "SHUTDOWN_DRAIN_SECONDS=0"]
    docker.docker("run", "-d", "--name=alone", *words, "api-gateway:latest")
    probe = "import urllib.request as u; u.urlopen('http://127.0.0.1:4004/actuator/health/liveness', timeout=2)"
    deadline = time.monotonic() + 60
    while docker.docker("exec", "alone", "python", "-c", probe, check=False).returncode:
        assert time.monotonic() < deadline, docker.docker("logs", "alone").stderr
    _ends(docker, "python -m api_gateway")


def _ends(docker: Engine, program: str) -> None:
    """The container `alone` runs that program as process 1, and it ends well when it is told to."""
    assert program in docker.docker("top", "alone", "-o", "pid,args").stdout
    began = time.monotonic()
    docker.docker("stop", "--time=30", "alone")
    assert time.monotonic() - began < 20
    assert docker.docker("inspect", "-f", "{{.State.ExitCode}}", "alone").stdout.strip() == "0"


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
