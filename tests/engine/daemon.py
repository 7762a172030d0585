"""A container engine of our own: containerd and dockerd with their own data, sockets and pids, stopped by pid."""

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hpctl.embedded.jars import cache_directory
from hpctl.embedded.process import Server, dying_with_parent

from tests.engine.needs import CLIENT, PACKAGES, client_configuration, install


class Containerd(Server):
    """The runtime below dockerd; `state` is short-lived and short of path, as sockets demand."""

    name = "containerd"

    def __init__(self, directory: Path, state: Path) -> None:
        super().__init__(directory)
        self.state = state
        self.socket = state / "containerd.sock"

    def prepare(self) -> None:
        configuration = (
            f'version = 2\nroot = "{self.directory}"\nstate = "{self.state}/containerd"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.socket}"\n'
        )
        (self.state / "containerd.toml").write_text(configuration)

    def command(self) -> list[str]:
        return dying_with_parent([str(shutil.which("containerd")), "--config", str(self.state / "containerd.toml")])

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0


class Dockerd(Server):
    """The engine; its default bridge is off, so that it never meets another engine's docker0."""

    name = "dockerd"
    start_within = 90.0
    stop_within = 60.0

    def __init__(self, directory: Path, state: Path, containerd: Containerd, subnet: int, runtime: Path | None) -> None:
        super().__init__(directory)
        self.runtime = runtime
        self.state = state
        self.containerd = containerd
        self.subnet = subnet
        self.socket = state / "docker.sock"

    def prepare(self) -> None:
        """Nothing: dockerd makes its data root."""

    def command(self) -> list[str]:
        options = {
            "host": f"unix://{self.socket}",
            "data-root": self.directory,
            "exec-root": self.state / "exec",
            "pidfile": self.state / "docker.pid",
            "containerd": self.containerd.socket,
            "config-file": self._configuration(),
            "bridge": "none",
            "default-address-pool": f"base=10.{self.subnet}.0.0/16,size=24",
        }
        return dying_with_parent(
            [str(shutil.which("dockerd")), *(f"--{name}={value}" for name, value in options.items())]
        )

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(str(self.socket))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status == 200

    def _configuration(self) -> Path:
        path = self.state / "daemon.json"
        chosen = {"runtimes": {"ours": {"path": str(self.runtime)}}, "default-runtime": "ours"}
        path.write_text(json.dumps(chosen if self.runtime else {}))
        return path


@dataclass
class Engine:
    """A running engine, as the `docker` command sees it."""

    socket: Path
    configuration: Path
    environ: dict[str, str] = field(default_factory=dict)

    def docker(
        self, *words: str | Path, environ: Mapping[str, str] | None = None, timeout: float = 600, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs `docker …` from the repository; with `check` a failure raises with what it printed."""
        ours = {
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(self.configuration),
            "DOCKER_BUILDKIT": "1",
            "COMPOSE_DOCKER_CLI_BUILD": "1",
            "BUILDKIT_PROGRESS": "plain",
        }
        done = subprocess.run(
            [CLIENT, *map(str, words)],
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **ours, **self.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(map(str, words))}: {done.stdout}\n{done.stderr}")
        return done

    def has(self, image: str) -> bool:
        """Whether an image of that name is there."""
        return self.docker("image", "inspect", image, check=False).returncode == 0


@contextlib.contextmanager
def engine(subnet: int = 201, runtime: Path | None = None) -> Iterator[Engine]:
    """The engine until the block ends: its images stay in the user's cache, for all suites; its containers do not.

    One process at a time may have it; another one waits. `subnet` is the second number of its networks' addresses,
    `runtime` what starts containers instead of runc.
    """
    install(PACKAGES)
    root = cache_directory() / "docker-engine"
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as state:
            yield from _running(root, Path(state), subnet, runtime)


def _running(root: Path, state: Path, subnet: int, runtime: Path | None) -> Iterator[Engine]:
    containerd = Containerd(root / "containerd", state)
    dockerd = Dockerd(root / "docker", state, containerd, subnet, runtime)
    try:
        containerd.start()
        dockerd.start()
        running = Engine(dockerd.socket, client_configuration())
        _sweep(running)
        try:
            yield running
        finally:
            _sweep(running)
    finally:
        dockerd.stop()
        containerd.stop()


def _sweep(running: Engine) -> None:
    """Containers, their volumes and networks go; images and the build cache stay."""
    if left := running.docker("ps", "-aq").stdout.split():
        running.docker("rm", "-f", "-v", *left)
    running.docker("network", "prune", "-f")
    running.docker("volume", "prune", "-f")
