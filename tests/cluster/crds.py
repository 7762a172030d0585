"""The resource definitions of the operators that the platform works with, at pinned versions with pinned checksums.

They are looked for in `$THIRD_PARTY_CRDS`, then beside the repository, then in the cache, then fetched from the
projects' tagged sources into the cache. A file whose checksum is not ours is refused, wherever it came from.
"""

import hashlib
import os
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import yaml

from tests.cluster.build import CACHE
from tests.cluster.controlplane import ControlPlane, Manifest

ROOT = Path(__file__).resolve().parents[2]
CHECKSUMS = Path(__file__).with_name("crds.sha256")
BESIDE = Path("../shared/crds")
HOST = "https://raw.githubusercontent.com"
SOURCES = {  # the folder of one release's definitions, and what their names begin with there
    "strimzi-1.2.0": "strimzi/strimzi-kafka-operator/1.2.0/packaging/install/cluster-operator",
    "cloudnative-pg-1.30.0": "cloudnative-pg/cloudnative-pg/v1.30.0/config/crd/bases",
    "prometheus-operator-0.93.0": "prometheus-operator/prometheus-operator/v0.93.0/example/prometheus-operator-crd",
    "gateway-api-1.6.1": "kubernetes-sigs/gateway-api/v1.6.1/config/crd/standard",
}
STRIMZI_PREFIX = {
    "Crd-kafka.yaml": "040-",
    "Crd-strimzipodset.yaml": "042-",
    "Crd-kafkatopic.yaml": "043-",
    "Crd-kafkauser.yaml": "044-",
    "Crd-kafkanodepool.yaml": "045-",
}


class ChecksumError(RuntimeError):
    """A definition is not the one that was released under its version."""


def names() -> list[str]:
    """`project-version/file` of every definition."""
    return sorted(_checksums())


def load(name: str) -> Manifest:
    """One definition; ChecksumError where what was found is something else."""
    content = _find(name)
    if hashlib.sha256(content).hexdigest() != _checksums()[name]:
        raise ChecksumError(f"{name} is not what was released under that version")
    return yaml.load(content, Loader=yaml.CSafeLoader)  # some megabytes, in all


def install(cluster: ControlPlane, projects: Iterable[str] = SOURCES) -> list[str]:
    """Apply the definitions of these projects and wait until they are served; returns their names."""
    wanted = tuple(projects)
    definitions = [load(name) for name in names() if name.startswith(wanted)]
    cluster.apply(*definitions)
    served = [definition["metadata"]["name"] for definition in definitions]
    cluster.established(served)
    return served


def _find(name: str) -> bytes:
    for folder in (os.environ.get("THIRD_PARTY_CRDS"), ROOT / BESIDE, CACHE / "crds"):
        if folder and (path := Path(folder) / name).exists():
            return path.read_bytes()
    return _fetch(name)


def _fetch(name: str) -> bytes:
    project, _, file = name.partition("/")
    url = f"{HOST}/{SOURCES[project]}/{STRIMZI_PREFIX.get(file, '')}{file}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        content: bytes = answer.read()
    if hashlib.sha256(content).hexdigest() != _checksums()[name]:
        raise ChecksumError(f"{url} is not what was released under that version")
    kept = CACHE / "crds" / name
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(content)
    return content


def _checksums() -> dict[str, str]:
    pairs = (line.split() for line in CHECKSUMS.read_text().splitlines())
    return {name: digest for digest, name in pairs}
