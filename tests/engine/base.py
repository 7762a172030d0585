"""Base images without a registry: Debian by debootstrap, and upon it Python, under the names that our files ask for."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from hpctl.embedded.jars import cache_directory, locked

from tests.engine.daemon import Engine
from tests.engine.needs import mirror

SUITE = "trixie"  # its Python is 3.13
PYTHON = "python:3.13-slim"
DEBIAN = "debian:trixie-slim"
STANDINS = Path(__file__).with_name("standins")
_EXCLUDED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists", "dev")


def ensure_debian(engine: Engine) -> None:
    """`debian:trixie-slim` is in the engine."""
    if not engine.has(DEBIAN):
        path = "ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        engine.docker("import", "--change", path, _archive(), DEBIAN)


def ensure_base(engine: Engine) -> None:
    """`python:3.13-slim` is in the engine: Debian's own Python 3.13 in place of the official image.

    Built every time, out of the build's cache where nothing has changed: an older one may be there under its name.
    """
    ensure_debian(engine)
    engine.docker("build", "--network=host", "--target=python", f"--tag={PYTHON}", STANDINS)


def _archive() -> Path:
    path = cache_directory() / f"base-{SUITE}.tar"
    with locked("debootstrap"):
        if not path.exists():
            with tempfile.TemporaryDirectory(prefix="base-") as directory:
                _bootstrap(Path(directory) / "root")
                _pack(Path(directory) / "root", path)
    return path


def _bootstrap(root: Path) -> None:
    command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(root)]
    done = subprocess.run(
        [*command, mirror()],
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"debootstrap: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def _pack(root: Path, path: Path) -> None:
    for name in _EXCLUDED:
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "dev").mkdir(exist_ok=True)
    making = path.with_suffix(".making")
    subprocess.run(["tar", "-C", root, "-cf", making, "."], check=True)
    making.rename(path)
