"""The resource definitions of the operators that the platform works with, at pinned versions with pinned checksums.

Package registries have them: the Go modules of three projects hold the released files, and Strimzi's are written by its
own generator, whose jars are on Maven Central; both come out byte for byte as released. `$THIRD_PARTY_CRDS` names a
folder to look in first. A file whose checksum is not ours is refused, wherever it came from.
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from hpctl.embedded.jars import Jars, class_path, locked
from hpctl.embedded.kafka import find_java

from tests.cluster import build
from tests.cluster.controlplane import ControlPlane, Manifest

CHECKSUMS = Path(__file__).with_name("crds.sha256")
STRIMZI = "1.2.0"
STRIMZI_JARS = Jars(
    f"Strimzi's generator {STRIMZI}", f"strimzi-crd-generator-{STRIMZI}", Path(__file__).with_name("strimzi.sha256")
)
STRIMZI_CLASSES = {
    "Crd-kafka.yaml": "kafka.Kafka",
    "Crd-kafkanodepool.yaml": "nodepool.KafkaNodePool",
    "Crd-kafkatopic.yaml": "topic.KafkaTopic",
    "Crd-kafkauser.yaml": "user.KafkaUser",
    "Crd-strimzipodset.yaml": "podset.StrimziPodSet",
}
STRIMZI_LABELS = ("app:strimzi", "strimzi.io/crd-install:true")


@dataclass(frozen=True)
class GoModule:
    """A released Go module and the folder of its definitions in it."""

    path: str
    version: str
    folder: str


GO_MODULES = {
    "cloudnative-pg-1.30.0": GoModule("github.com/cloudnative-pg/cloudnative-pg", "v1.30.0", "config/crd/bases"),
    "prometheus-operator-0.93.0": GoModule(
        "github.com/prometheus-operator/prometheus-operator", "v0.93.0", "example/prometheus-operator-crd"
    ),
    "gateway-api-1.6.1": GoModule("sigs.k8s.io/gateway-api", "v1.6.1", "config/crd/standard"),
}
PROJECTS = (f"strimzi-{STRIMZI}", *GO_MODULES)


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


def install(cluster: ControlPlane, projects: Iterable[str] = PROJECTS) -> list[str]:
    """Apply the definitions of these projects and wait until they are served; returns their names."""
    wanted = tuple(projects)
    definitions = [load(name) for name in names() if name.startswith(wanted)]
    cluster.apply(*definitions)
    served = [definition["metadata"]["name"] for definition in definitions]
    cluster.established(served)
    return served


def operators() -> list[Path]:
    """Manifests that install Gateway API, prometheus-operator and CloudNativePG, as their Go modules hold them."""
    places = {
        "gateway-api-1.6.1": "config/crd/standard",
        "prometheus-operator-0.93.0": "bundle.yaml",
        "cloudnative-pg-1.30.0": "releases/cnpg-1.30.0.yaml",
    }
    return [(_unpacked(project) / place).resolve(strict=True) for project, place in places.items()]


def _find(name: str) -> bytes:
    given = os.environ.get("THIRD_PARTY_CRDS")
    if given and (path := Path(given) / name).exists():
        return path.read_bytes()
    project, _, file = name.partition("/")
    return (_folder(project) / file).read_bytes()


def _folder(project: str) -> Path:
    """The definitions of one project in the user's cache; fetched from its registry the first time."""
    folder = build.CACHE / "resource-definitions" / project
    with locked("resource-definitions"):
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                making = Path(scratch) / project
                making.mkdir()
                _from_go_module(project, making) if project in GO_MODULES else _from_generator(making)
                making.rename(folder)
    return folder


def _from_go_module(project: str, making: Path) -> None:
    for name in names():
        if name.startswith(f"{project}/"):
            shutil.copy(_unpacked(project) / GO_MODULES[project].folder / Path(name).name, making)


@functools.cache
def _unpacked(project: str) -> Path:
    """A Go module, in Go's own cache."""
    module = GO_MODULES[project]
    said = build.go("mod", "download", "-json", f"{module.path}@{module.version}", cwd=CHECKSUMS.parent)
    return Path(json.loads(said)["Dir"])


def _from_generator(making: Path) -> None:
    """Strimzi's build writes its definitions with this program: one `class=file` for each kind."""
    labels = [word for label in STRIMZI_LABELS for word in ("--label", label)]
    kinds = [f"io.strimzi.api.kafka.model.{name}={making / file}" for file, name in STRIMZI_CLASSES.items()]
    class_files = os.pathsep.join(map(str, class_path(STRIMZI_JARS)))
    command = [str(find_java()), "-cp", class_files, "io.strimzi.crdgenerator.CrdGenerator", "--yaml", *labels, *kinds]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise build.BuildError("Strimzi's resource definitions", done.stderr)


def _checksums() -> dict[str, str]:
    pairs = (line.split() for line in CHECKSUMS.read_text().splitlines())
    return {name: digest for digest, name in pairs}
