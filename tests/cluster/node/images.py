"""The images that the node runs, out of the project's Dockerfile: the release, the one after it, and a broken one.

Third-party images cannot be pulled everywhere: the engine's stand-ins carry the real servers under the same tags.
"""

import tempfile
from pathlib import Path

import yaml
from hpctl.layout import SERVICES

from tests.cluster.charts import CHARTS
from tests.cluster.node.runtime import PAUSE
from tests.engine.base import PYTHON
from tests.engine.daemon import Engine, engine
from tests.engine.images import TARGETS, build
from tests.engine.standins import build_standins, image_of

BUILTIN = {"kafka": "kafka", "patient-service-db": "postgres", "redis": "redis"}  # Compose's service → our chart
ADDED = {"postgres": ["RUN useradd --uid 70 alpine"]}  # the user of Alpine's image, whose name initdb asks for
SECOND = "second"
BROKEN = "broken"
RELEASES = [service.name for service in SERVICES]


def archive(target: Path) -> None:
    """Build all and write them into one archive, for a runtime without a registry."""
    with engine() as built:
        build(built)
        build_standins(built, *BUILTIN)
        for service, chart in BUILTIN.items():
            _derive(built, chart_image(chart), image_of(service), *ADDED.get(chart, ()))
        _derive(built, PAUSE, "debian:trixie-slim", 'CMD ["sleep", "infinity"]')
        for name in RELEASES:
            _derive(built, f"{name}:{SECOND}", f"{name}:latest", "ENV APP_VERSION=0.2.0")
        _derive(built, f"patient-service:{BROKEN}", PYTHON, "WORKDIR /broken")
        built.docker("save", "--output", target, *everything())


def everything() -> list[str]:
    """The tags of all images."""
    ours = [f"{name}:latest" for name in TARGETS if name != "hpctl"]
    later = [f"{name}:{SECOND}" for name in RELEASES]
    return [*ours, *later, f"patient-service:{BROKEN}", PAUSE, *map(chart_image, BUILTIN.values())]


def chart_image(chart: str) -> str:
    """The image that an infrastructure chart runs by default."""
    image = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())["image"]
    return f"{image['repository']}:{image['tag']}"


def _derive(built: Engine, tag: str, base: str, *lines: str) -> None:
    with tempfile.TemporaryDirectory() as context:
        (Path(context) / "Dockerfile").write_text("\n".join((f"FROM {base}", *lines)))
        built.docker("build", "--network=host", f"--tag={tag}", context)
