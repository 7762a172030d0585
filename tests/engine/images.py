"""Our images, built by the one Dockerfile."""

import os
from pathlib import Path

from hpctl.layout import ROOT, SERVICES

from tests.engine.base import PYTHON, ensure_base
from tests.engine.daemon import Engine

SERVICE_IMAGES = {service.name: "service" for service in SERVICES}
TARGETS = SERVICE_IMAGES | {"healthcare-operator": "operator", "hpctl": "hpctl"}


def build(engine: Engine, *names: str) -> list[str]:
    """Build these images as `<name>:latest`, all eight without names; the list of their tags."""
    ensure_base(engine)
    chosen = names or tuple(TARGETS)
    for name in chosen:
        certificates = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
        engine.docker(
            "build", "--network=host", f"--target={TARGETS[name]}",
            f"--build-arg=SERVICE={name}", f"--build-arg=BASE_IMAGE={PYTHON}",
            f"--secret=id=ca,src={certificates}", f"--tag={name}:latest", ROOT,
            timeout=1200,
        )  # fmt: skip
    return [f"{name}:latest" for name in chosen]
