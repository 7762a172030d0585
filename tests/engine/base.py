"""Base images without a registry: Debian by debootstrap, imported under the names that our files ask for."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from hpctl.embedded.jars import cache_directory, locked

from tests.engine.daemon import Engine

PYTHON = "python:3.13-slim"
DEBIAN = "debian:trixie-slim"
_PACKAGES = {PYTHON: "ca-certificates,python3,python3-venv", DEBIAN: "ca-certificates"}
_EXCLUDED = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/var/cache/apt", "/var/lib/apt/lists", "/dev")


def ensure_base(engine: Engine, name: str = PYTHON) -> None:
    """The base image is in the engine: Debian trixie, for Python with its own 3.13, in place of the official image."""
    if engine.has(name):
        return
    archive = _archive(name)
    engine.docker("import", "--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", archive, name)


def _archive(name: str) -> Path:
    path = cache_directory() / f"base-{name.replace(':', '-')}.tar"
    with locked("debootstrap"):
        if not path.exists():
            with tempfile.TemporaryDirectory(prefix="base-") as directory:
                _bootstrap(Path(directory) / "root", _PACKAGES[name])
                _pack(Path(directory) / "root", path)
    return path


def _bootstrap(root: Path, packages: str) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={packages}", "trixie", root]
    done = subprocess.run(
        [*command, "http://deb.debian.org/debian"],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"debootstrap: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    if (root / "usr/bin/python3").is_symlink():
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")


def _pack(root: Path, path: Path) -> None:
    for name in _EXCLUDED:
        shutil.rmtree(root / name.lstrip("/"), ignore_errors=True)
        if name == "/dev":
            (root / "dev").mkdir()
    making = path.with_suffix(".making")
    subprocess.run(["tar", "-C", root, "-cf", making, "."], check=True)
    making.rename(path)
