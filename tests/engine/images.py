"""Our images, built by the one Dockerfile."""

import os
from pathlib import Path
from typing import Protocol

from hpctl.layout import ROOT, SERVICES

from tests.engine.base import PYTHON, ensure_base
from tests.engine.daemon import Engine

SERVICE_IMAGES = {service.name: "service" for service in SERVICES}
TARGETS = SERVICE_IMAGES | {"healthcare-operator": "operator", "hpctl": "hpctl"}


class Docker(Protocol):
    """What runs `docker …`: the tests' engine, or the machine's own."""

    def docker(self, *words: str | Path, timeout: float = ...) -> object: ...


def build(engine: Engine, *names: str) -> list[str]:
    """Build these images as `<name>:latest`, all eight without names; the list of their tags."""
    ensure_base(engine)
    chosen = names or tuple(TARGETS)
    for name in chosen:
        build_one(engine, name)
    return [f"{name}:latest" for name in chosen]


def build_one(docker: Docker, name: str) -> None:
    """Build one image as `<name>:latest`; its base is there, or can be pulled."""
    certificates = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    docker.docker(
        "build", "--network=host", f"--target={TARGETS[name]}",
        f"--build-arg=SERVICE={name}", f"--build-arg=BASE_IMAGE={PYTHON}",
        *([f"--secret=id=ca,src={certificates}"] if certificates.exists() else []), f"--tag={name}:latest", ROOT,
        timeout=1200,
    )  # fmt: skip
