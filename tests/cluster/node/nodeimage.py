"""kind's node image without a registry: Debian, its containerd, and Kubernetes as Go modules have it."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster import build
from tests.engine.base import ensure_debian
from tests.engine.daemon import Engine

SOURCES = Path(__file__).with_name("image")
PROGRAMS = (
    build.kubernetes,
    build.kubeadm,
    build.crictl,
    build.coredns,
    build.local_path_provisioner,
    build.kube_router,
)
STAGES = {"coredns": "names", "pause": "pause"}  # every other image of the control plane is the stage `programs`


def ensure_node(engine: Engine) -> str:
    """The tag of the image, which is built if there is none of these sources and programs yet."""
    programs = [program() for program in PROGRAMS]
    tag = f"local/kind-node:{_digest(programs)}"
    if not engine.has(tag):
        ensure_debian(engine)
        with tempfile.TemporaryDirectory(prefix="node-image-") as directory:
            context = Path(directory) / "context"
            _lay_out(context, programs)
            _save_control_plane(engine, context)
            _build(engine, context, "node", tag)
    return tag


def _digest(programs: list[Path]) -> str:
    files = sorted(path for path in SOURCES.rglob("*") if path.is_file())
    content = [path.read_bytes() for path in files] + [str(program.parent.name).encode() for program in programs]
    return hashlib.sha256(b"".join(content)).hexdigest()[:12]


def _lay_out(context: Path, programs: list[Path]) -> None:
    shutil.copytree(SOURCES, context)
    (context / "bin").mkdir()
    for program in programs:
        shutil.copy2(program, context / "bin")
    (context / "kind" / "version").write_text(build.kubernetes_version())


def _save_control_plane(engine: Engine, context: Path) -> None:
    """What the node's first service loads: the images that kubeadm asks for, and what our manifests name."""
    tags = {stage: [f"local/{stage}"] for stage in ("programs", "names", "pause")}
    for image in _asked_for():
        name = image.rpartition("/")[2].partition(":")[0]
        tags[STAGES.get(name, "programs")].append(image)
    for stage, names in tags.items():
        _build(engine, context, stage, *names)
    archive = context / "kind" / "images.tar"
    engine.docker("save", "--output", archive, *(name for names in tags.values() for name in names))


def _asked_for() -> list[str]:
    words = ["config", "images", "list", "--kubernetes-version", build.kubernetes_version()]
    return subprocess.run([build.kubeadm(), *words], capture_output=True, text=True, check=True).stdout.split()


def _build(engine: Engine, context: Path, stage: str, *tags: str) -> None:
    named = (f"--tag={tag}" for tag in tags)
    engine.docker("build", "--network=host", f"--target={stage}", *named, context, timeout=1200)
