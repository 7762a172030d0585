"""The images that the node runs, out of the project's Dockerfile: the release, what may follow it, and what stands in.

Third-party images cannot be pulled everywhere: the engine's stand-ins carry the real servers under the same tags.
"""

import tempfile
from pathlib import Path

import yaml
from hpctl.layout import SERVICES

from tests.cluster.charts import CHARTS
from tests.cluster.node.releases import Release, releases
from tests.cluster.node.runtime import PAUSE
from tests.engine.base import PYTHON
from tests.engine.daemon import Engine, engine
from tests.engine.images import TARGETS, build
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
PAGE = 'CMD ["python3", "-m", "http.server", "3000", "--directory", "/page"]'
OURS = [name for name in TARGETS if name != "hpctl"]


def archive(target: Path) -> None:
    """Build all and write them into one archive, for a runtime without a registry."""
    with engine() as built:
        build(built, *OURS)
        build_standins(built, *BUILTIN)
        for service, place in BUILTIN.items():
            _derive(built, Release(chart_image(*place), image_of(service), lines=ADDED.get(service, ())))
        _derive(built, Release(chart_image(*GRAFANA), PYTHON, lines=("RUN mkdir -p /page/api/health", PAGE)))
        _derive(built, Release(PAUSE, "debian:trixie-slim", lines=('CMD ["sleep", "infinity"]',)))
        for release in releases(service.name for service in SERVICES):
            _derive(built, release)
        built.docker("save", "--output", target, *everything())


def everything() -> list[str]:
    """The tags of all images."""
    ours = [f"{name}:latest" for name in OURS]
    later = [release.tag for release in releases(service.name for service in SERVICES)]
    return [*ours, *later, PAUSE, *(chart_image(*place) for place in (*BUILTIN.values(), GRAFANA))]


def chart_image(chart: str, *place: str) -> str:
    """The image that a chart runs by default."""
    found = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    for key in place:
        found = found[key]
    return f"{found['repository']}:{found['tag']}"


def _derive(built: Engine, release: Release) -> None:
    with tempfile.TemporaryDirectory() as context:
        for name, content in release.files.items():
            (Path(context) / name).write_text(content)
        (Path(context) / "Dockerfile").write_text("\n".join((f"FROM {release.base}", *release.lines)))
        built.docker("build", "--network=host", f"--tag={release.tag}", context)
