"""Prometheus, Alertmanager and exporters beside the running platform, by the very files that are deployed."""

import math
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import yaml
from chassis.testing import deadline
from hpctl.embedded.process import Server, dying_with_parent
from hpctl.layout import SERVICES, Layout

from hpctl import state
from tests.conftest import ROOT, Stack
from tests.monitoring.programs import program

MONITORING = ROOT / "monitoring"
SETTLED = 3.0
ELSEWHERE = {"kafka"}  # its exporter takes minutes to compile: tests/compose scrapes it


class Program(Server):
    """One of Debian's programs; `arguments` may say {port}."""

    def __init__(self, directory: Path, name: str, page: str, arguments: list[str], environ: Mapping[str, str]) -> None:
        self.name = name
        super().__init__(directory / name)
        self._page = page
        self._arguments = [each.format(port=self.port) for each in arguments]
        self._environ = environ

    def prepare(self) -> None:
        """Nothing."""

    def command(self) -> list[str]:
        return dying_with_parent([str(program(self.name)), *self._arguments])

    def environment(self) -> Mapping[str, str]:
        return os.environ | dict(self._environ)

    def answers(self) -> bool:
        try:
            return self.get(self._page).status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, **query: Any) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", params=query, timeout=20)


class Prometheus(Program):
    """The real one; its configuration is written when it starts."""

    def __init__(self, directory: Path) -> None:
        self.configuration: dict[str, Any] = {}
        super().__init__(
            directory,
            "prometheus",
            "/-/ready",
            [
                f"--config.file={directory / 'prometheus.yml'}",
                "--web.listen-address=127.0.0.1:{port}",
                f"--storage.tsdb.path={directory / 'series'}",
                "--log.level=warn",
            ],
            {},
        )

    def prepare(self) -> None:
        """Every second instead of every fifteen."""
        often = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        (self.directory.parent / "prometheus.yml").write_text(yaml.safe_dump({**self.configuration, "global": often}))
        shutil.copytree(MONITORING / "rules", self.directory.parent / "rules", dirs_exist_ok=True)

    def query(self, path: str, **parameters: Any) -> Any:
        """The `data` of its answer."""
        answer = self.get(f"/api/v1/{path}", **parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def wait_for_scrapes(self, targets: int) -> None:
        """Returns when each target was scraped twice: what is born later was born of work."""
        until = deadline(30)
        while len(self.query("query", query="rate(process_cpu_seconds_total[15s])")["result"]) < targets:
            assert time.monotonic() < until
            time.sleep(0.2)


@dataclass(frozen=True)
class Watched:
    """What Prometheus saw from `since` to `until` (seconds since 1970)."""

    prometheus: Prometheus
    since: float
    until: float

    def moves(self, expression: str) -> bool:
        """Whether some series of the answer has two different numbers, or one that work brought into being."""
        asked = expression.replace("$service", ".+").replace("$__rate_interval", "15s")
        span = {"start": self.since, "end": self.until, "step": "1s"}
        found = self.prometheus.query("query_range", query=asked, **span)["result"]
        return any(_moves(series["values"], self.since + SETTLED) for series in found)


def _moves(values: list[tuple[float, str]], settled: float) -> bool:
    finite = [(at, float(value)) for at, value in values if math.isfinite(float(value))]
    return bool(finite) and (len({value for _, value in finite}) > 1 or finite[0][0] > settled)


class Observatory:
    """All of it for one stack; `start` returns when Prometheus has scraped everything."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self._layout = Layout(stack.offset)
        self._directory = directory
        self.exporters = {"redis": self._redis(), "postgres": self._postgres(), "node": self._node()}
        self.alertmanager = self._program(
            "alertmanager",
            "/-/ready",
            f"--config.file={MONITORING / 'alertmanager.yml'}",
            "--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            f"--storage.path={directory / 'alerts'}",
        )
        self.prometheus = Prometheus(directory)

    def start(self) -> None:
        self.prometheus.configuration = self._configuration()
        for server in (*self.exporters.values(), self.alertmanager, self.prometheus):
            server.start()
        self.prometheus.wait_for_scrapes(len(self.prometheus.configuration["scrape_configs"]))

    def stop(self) -> None:
        for server in (self.prometheus, self.alertmanager, *self.exporters.values()):
            server.stop()

    def _configuration(self) -> dict[str, Any]:
        """The deployed one with this machine's addresses in it."""
        configuration: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        ports = {service.name: self._layout.port(service.port) for service in SERVICES}
        ports |= {name: exporter.port for name, exporter in self.exporters.items()}
        ports["prometheus"] = self.prometheus.port
        kept = [job for job in configuration["scrape_configs"] if job["job_name"] not in ELSEWHERE]
        for job in kept:
            job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[job['job_name']]}"]}]
        configuration["scrape_configs"] = kept
        target = [{"targets": [f"127.0.0.1:{self.alertmanager.port}"]}]
        configuration["alerting"]["alertmanagers"] = [{"static_configs": target}]
        return configuration

    def _program(self, name: str, page: str, *arguments: str, **environ: str) -> Program:
        return Program(self._directory, name, page, list(arguments), environ)

    def _redis(self) -> Program:
        return self._program(
            "prometheus-redis-exporter",
            "/metrics",
            "-web.listen-address=127.0.0.1:{port}",
            f"-redis.addr=redis://127.0.0.1:{self._layout.port('REDIS_PORT')}",
            REDIS_PASSWORD=state.password(self._layout, "valkey"),
        )

    def _postgres(self) -> Program:
        role = "patient_service"
        password, port = state.password(self._layout, role), self._layout.port("PATIENT_DB_PORT")
        return self._program(
            "prometheus-postgres-exporter",
            "/metrics",
            "--web.listen-address=127.0.0.1:{port}",
            DATA_SOURCE_NAME=f"postgresql://{role}:{password}@127.0.0.1:{port}/{role}?sslmode=disable",
        )

    def _node(self) -> Program:
        return self._program("prometheus-node-exporter", "/metrics", "--web.listen-address=127.0.0.1:{port}")
