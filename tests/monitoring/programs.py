"""Prometheus, its tools and exporters: the packages of Debian, unpacked into a cache; no root, nothing installed.

Alertmanager is built instead: Debian's reads its templates from /usr/share, where only root can put them.
"""

import functools
import shutil
import subprocess
from pathlib import Path

from hpctl.embedded.jars import cache_directory, locked

from tests.cluster import build
from tests.engine.standins import image_of

PACKAGES = (
    "prometheus",
    "prometheus-node-exporter",
    "prometheus-postgres-exporter",
    "prometheus-redis-exporter",
)


ALERTMANAGER = {"alertmanager", "amtool"}


@functools.cache
def program(name: str) -> Path:
    """The path of one of them; the first call on a machine fetches all (40 MB), or builds Alertmanager (30 s)."""
    return _built(name) if name in ALERTMANAGER else _packaged(name)


def _built(name: str) -> Path:
    version = image_of("alertmanager").rpartition(":")[2]
    module = f"github.com/prometheus/alertmanager/cmd/{name}@{version}"

    def install(target: Path) -> None:
        build.go("install", "-trimpath", "-ldflags", "-s -w", module, cwd=target.parent, GOBIN=str(target.parent))

    return build.cached(build.CACHE / f"alertmanager-{version}" / name, install)


def _packaged(name: str) -> Path:
    directory = cache_directory() / f"prometheus-{_release()}"
    with locked("prometheus"):
        if not directory.exists():
            making = directory.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            for package in _download(making / "packages"):
                subprocess.run(["dpkg-deb", "-x", package, making / "unpacked"], check=True)
            (making / "unpacked" / "usr" / "bin").rename(directory)
            shutil.rmtree(making)
    return directory / name


def _release() -> str:
    words = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return words["VERSION_CODENAME"].strip('"')


def _download(directory: Path) -> list[Path]:
    """The packages, by lists of our own: a new machine has none, and a plain user may not write them."""
    for name in ("lists/partial", "archives/partial"):
        (directory / name).mkdir(parents=True)
    options = {"Dir::State::lists": directory / "lists", "Dir::Cache": directory, "APT::Sandbox::User": "root"}
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    subprocess.run([*apt, "update"], check=True, stdin=subprocess.DEVNULL)
    subprocess.run([*apt, "download", *PACKAGES], check=True, cwd=directory, stdin=subprocess.DEVNULL)
    return sorted(directory.glob("*.deb"))
