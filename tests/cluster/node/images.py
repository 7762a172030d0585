"""The images that the node runs, out of the project's Dockerfile: the release, what may follow it, and what stands in.

Third-party images cannot be pulled everywhere: the engine's stand-ins carry the real servers under the same tags.
"""

import os
import subprocess
import tempfile
from pathlib import Path

import yaml
from hpctl.layout import SERVICES

from tests.cluster.charts import CHARTS
from tests.cluster.node.releases import Release, releases
from tests.cluster.node.runtime import PAUSE
from tests.engine.base import DEBIAN, PYTHON, ensure_base
from tests.engine.daemon import Engine
from tests.engine.images import TARGETS, Docker, build_one
from tests.engine.standins import build_standins, image_of

BUILTIN = {  # Compose's service → our chart, and where its image stands in the chart's values
    "kafka": ("kafka", "image"),
    "patient-service-db": ("postgres", "image"),
    "redis": ("redis", "image"),
    "prometheus": ("monitoring", "prometheus", "image"),
    "alertmanager": ("monitoring", "alertmanager", "image"),
}
ADDED = {"patient-service-db": ["RUN useradd --uid 70 alpine"]}  # Alpine's user, whose name initdb asks for
GRAFANA = ("monitoring", "grafana", "image")  # can be had nowhere but from its registry: a page answers its probes
PAGE = (
    "RUN mkdir -p /page/api/health",
    "STOPSIGNAL SIGINT",  # Python as process 1 is deaf to SIGTERM
    'CMD ["python3", "-m", "http.server", "3000", "--directory", "/page"]',
)
OURS = [name for name in TARGETS if name != "hpctl"]
LATER = list(releases(service.name for service in SERVICES))


class MachinesDocker:
    """The Docker that this machine's user has."""

    def docker(self, *words: str | Path, timeout: float = 600) -> None:
        command, environ = ["docker", *map(str, words)], os.environ | {"DOCKER_BUILDKIT": "1"}
        done = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def archive(built: Engine, target: Path) -> None:
    """Build all, stand-ins for what cannot be pulled included, and write them into one archive."""
    ensure_base(built)
    _build_ours(built)
    build_standins(built, *BUILTIN)
    for service, place in BUILTIN.items():
        _derive(built, Release(chart_image(*place), image_of(service), lines=ADDED.get(service, ())))
    _derive(built, Release(chart_image(*GRAFANA), PYTHON, lines=PAGE))
    _derive(built, Release(PAUSE, DEBIAN, lines=('CMD ["sleep", "infinity"]',)))
    built.docker("save", "--output", target, *ours(), PAUSE, *official())


def archive_ours(docker: Docker, target: Path) -> None:
    """Build what is ours and what may follow it, on official bases, and write it into one archive."""
    _build_ours(docker)
    docker.docker("save", "--output", target, *ours())


def ours() -> list[str]:
    """The tags of the release and of those that may follow it."""
    return [*(f"{name}:latest" for name in OURS), *(release.tag for release in LATER)]


def official() -> list[str]:
    """The tags of the servers' own images."""
    return [chart_image(*place) for place in (*BUILTIN.values(), GRAFANA)]


def chart_image(chart: str, *place: str) -> str:
    """The image that a chart runs by default."""
    found = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    for key in place:
        found = found[key]
    return f"{found['repository']}:{found['tag']}"


def _build_ours(docker: Docker) -> None:
    for name in OURS:
        build_one(docker, name)
    for release in LATER:
        _derive(docker, release)


def _derive(docker: Docker, release: Release) -> None:
    with tempfile.TemporaryDirectory() as context:
        for name, content in release.files.items():
            (Path(context) / name).write_text(content)
        (Path(context) / "Dockerfile").write_text("\n".join((f"FROM {release.base}", *release.lines)))
        docker.docker("build", "--network=host", f"--tag={release.tag}", context)
