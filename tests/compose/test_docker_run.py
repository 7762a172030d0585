"""docs/docker.md's way without Compose: its lines are run as they stand, only the ports are moved."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from chassis.testing import eventually
from hpctl.layout import ROOT, Layout
from hpctl.walkthrough import walk

from tests.engine.daemon import Engine
from tests.engine.needs import CLIENT
from tests.ports import free_compose_offset

PAGE = (ROOT / "docs" / "docker.md").read_text()
BY_HAND = PAGE.partition("## By hand")[2].partition("\n## ")[0]


def commands() -> list[str]:
    """The page's commands, each with its continuation lines."""
    blocks = re.findall(r"```bash\n(.*?)```", BY_HAND, re.DOTALL)
    return [command for block in blocks for command in re.findall(r"^docker(?:.*\\\n)*.*$", block, re.MULTILINE)]


@pytest.fixture
def by_hand(docker: Engine, tmp_path: Path) -> Iterator[int]:
    """Everything on the page, started in its order; the offset that was added to the ports."""
    offset = free_compose_offset()
    shutil.copytree(ROOT / "monitoring", tmp_path / "monitoring")
    for command in commands():
        moved = re.sub(r"-p (\d+):", lambda match: f"-p 127.0.0.1:{int(match[1]) + offset}:", command)
        moved = re.sub("^docker", CLIENT, moved).replace("localhost:9094", f"localhost:{9094 + offset}")
        environ = {"DOCKER_HOST": f"unix://{docker.socket}", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            ["bash", "-c", moved], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, command + done.stderr
    yield offset
    docker.docker("rm", "-f", "-v", *docker.docker("ps", "-aq").stdout.split())
    docker.docker("network", "rm", "internal")


@pytest.mark.contract("X06", "V03", "A11", "A18")
async def test_the_lines_of_the_page_bring_the_platform_up(by_hand: int) -> None:
    def answers(port: int, path: str) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port + by_hand}{path}", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    for port in (4000, 4001, 4002, 4004, 4005, 4006):
        await eventually(lambda port=port: answers(port, "/actuator/health/readiness"), within=120, every=0.5)
    for port, path in ((9090, "/-/ready"), (4566, "/_localstack/health")):
        await eventually(lambda port=port, path=path: answers(port, path), within=60, every=0.5)
    walk(Layout(0, {"API_GATEWAY_PORT": str(4004 + by_hand)}))


@pytest.mark.contract("X06")
def test_the_page_has_a_line_for_every_container() -> None:
    named = set(re.findall(r"--name ([a-z-]+)", BY_HAND))
    services = ("patient", "appointment", "auth", "billing", "analytics")
    assert named == {
        *(f"{name}-service" for name in services), *(f"{name}-service-db" for name in services),
        "api-gateway", "redis", "kafka", "prometheus", "grafana", "localstack",
    }  # fmt: skip
