"""The servers and services that a benchmark needs, each a process of its own, on the embedded launchers."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from chassis.issuer import TokenIssuer
from hpctl.embedded.kafka import Kafka
from hpctl.embedded.postgres import Postgres
from hpctl.embedded.process import free_port
from hpctl.embedded.valkey import Valkey
from patient_service.settings import Settings

from bench.measure import Wrong

SECRET = "a-benchmark-signs-its-tokens-with-this"
PORT_NAMES = {
    "patient_service": "PATIENT_SERVICE_PORT",
    "appointment_service": "APPOINTMENT_SERVICE_PORT",
    "billing_service": "BILLING_SERVICE_HTTP_PORT",
}


class World:
    """PostgreSQL with fsync, Valkey and Kafka in a folder that goes away with the run."""

    def __init__(self) -> None:
        self._exit = ExitStack()
        self.directory = Path(self._exit.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        self.postgres = Postgres(self.directory / "postgres")
        self.valkey = Valkey(self.directory / "valkey", password=secrets.token_hex(8))
        self.kafka = Kafka(self.directory / "kafka")

    def __enter__(self) -> Self:
        for server in (self.postgres, self.valkey, self.kafka):
            server.launch()
            self._exit.callback(server.stop)
        for server in (self.postgres, self.valkey, self.kafka):
            server.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def database(self, name: str) -> str:
        """Creates a database owned by a role of its name; answers its DSN."""
        self.postgres.create_database(name, SECRET)
        return f"postgresql://{name}:{SECRET}@{self.postgres.host}:{self.postgres.port}/{name}"

    def environ(self, package: str, **more: str) -> dict[str, str]:
        """The settings that a service starts with."""
        return {
            PORT_NAMES[package]: str(free_port()),
            "DATABASE_URL": f"postgresql://{self.postgres.host}:{self.postgres.port}/{package}",
            "DATABASE_USER": package,
            "DATABASE_PASSWORD": SECRET,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KAFKA_CREATE_TOPICS": "true",
            "REDIS_HOST": self.valkey.host,
            "REDIS_PORT": str(self.valkey.port),
            "REDIS_PASSWORD": self.valkey.password,
            "JWT_SECRET": SECRET,
            "DDL_AUTO": "update",
            "LOG_LEVEL": "warning",
            **more,
        }

    @contextmanager
    def service(self, package: str, *, cpu: int | None = 0, **more: str) -> Iterator[str]:
        """Runs `python -m package`, pinned to a processor; yields its base URL once it is ready."""
        environ = self.environ(package, **more)
        command = [sys.executable, "-m", package]
        if cpu is not None:
            command = ["taskset", "-c", str(cpu), *command]
        log = (self.directory / f"{package}.log").open("ab")
        process = subprocess.Popen(
            command, env=_inherited() | environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        url = f"http://127.0.0.1:{environ[PORT_NAMES[package]]}"
        try:
            wait_for(f"{url}/actuator/health/readiness", process)
            yield url
        finally:
            process.terminate()
            process.wait(30)
            log.close()


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "VIRTUAL_ENV"}}


def wait_for(url: str, process: subprocess.Popen[bytes], within: float = 60.0) -> None:
    """Returns when the address answers 200.

    Raises:
        Wrong: the process ended, or the deadline passed.
    """
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise Wrong(f"{url} did not answer within {within:.0f} s")


def headers() -> dict[str, str]:
    """An ADMIN's token."""
    issuer = TokenIssuer(Settings.from_environ({"JWT_SECRET": SECRET}))
    return {"Authorization": f"Bearer {issuer.issue('bench@example.com', 'ADMIN')}", "Content-Type": "application/json"}


def call(url: str, body: dict[str, Any] | None = None) -> Any:
    """One request as an ADMIN; its JSON."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
