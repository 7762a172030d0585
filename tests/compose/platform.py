"""docker-compose.yml as a user runs it, on the tests' engine and with ports of its own."""

import os
import re
import subprocess
from pathlib import Path

import httpx2 as httpx
from hpctl.layout import PORTS, ROOT, Layout
from hpctl.walkthrough import login

from tests.engine.daemon import Engine
from tests.engine.needs import CLIENT

MORE_PORTS = {"GRAFANA_PORT": 3000, "PROMETHEUS_PORT": 9090, "ALERTMANAGER_PORT": 9095}
MORE_PORTS |= {"JAEGER_PORT": 16686, "OTLP_PORT": 4318, "LOCALSTACK_PORT": 4566, "LOCALSTACK_TLS_PORT": 443}
DEFAULTS = PORTS | MORE_PORTS


class Compose:
    """The project: `.env` is the example with every port moved by `offset`."""

    def __init__(self, engine: Engine, offset: int, directory: Path) -> None:
        self.engine = engine
        self.offset = offset
        self.env = directory / ".env"
        self.files: tuple[str, ...] = ("docker-compose.yml",)
        self.env.write_text(self._moved((ROOT / ".env.example").read_text()))

    def port(self, variable: str) -> int:
        return DEFAULTS[variable] + self.offset

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        files = [word for name in self.files for word in ("-f", str(ROOT / name))]
        where = ["--project-directory", str(ROOT), "--env-file", str(self.env)]
        return self.engine.docker("compose", *where, *files, *words, check=check)

    def shell(self, line: str) -> None:
        """A line of the documentation, whose `docker compose` means this project; files are beside its `.env`."""
        mine = f"{CLIENT} compose --project-directory '{ROOT}' --env-file '{self.env}'"
        places = {"DOCKER_HOST": f"unix://{self.engine.socket}", "DOCKER_CONFIG": str(self.engine.configuration)}
        command = ["bash", "-euc", line.replace("docker compose", mine)]
        done = subprocess.run(
            command,
            cwd=self.env.parent,
            env=os.environ | places,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, line + done.stderr

    def set(self, variable: str, value: str) -> None:
        """Changes a line of `.env`; single quotes keep every character but themselves."""
        kept = [line for line in self.env.read_text().splitlines() if not line.startswith(f"{variable}=")]
        self.env.write_text("\n".join([*kept, f"{variable}='{value}'", ""]))

    def up(self, *words: str) -> None:
        self.run("up", "-d", "--wait", "--no-build", *words)

    def client(self) -> httpx.Client:
        """Logged in at the gateway."""
        token = login(self.layout(), "testuser@test.com", "password123")
        base = f"http://127.0.0.1:{self.port('API_GATEWAY_PORT')}"
        return httpx.Client(base_url=base, timeout=15, headers={"Authorization": f"Bearer {token}"})

    def layout(self) -> Layout:
        """How hpctl's walkthrough finds the gateway."""
        return Layout(0, {"API_GATEWAY_PORT": str(self.port("API_GATEWAY_PORT"))})

    def _moved(self, example: str) -> str:
        def move(match: re.Match[str]) -> str:
            return f"{match[1]}={self.port(match[1])}"

        moved = re.sub(rf"^(?:# )?({'|'.join(DEFAULTS)})=\d+$", move, example, flags=re.MULTILINE)
        return moved.replace("localhost:9094", f"localhost:{self.port('KAFKA_EXTERNAL_PORT')}")
