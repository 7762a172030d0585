"""Programs from the npm registry, each installed once for this user, by its exact version."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path


def program(package: str, version: str, path: str) -> list[str]:
    """The command that runs a package's program; installs it into the cache the first time."""
    node, npm = shutil.which("node"), shutil.which("npm")
    assert node and npm, "node and npm are needed (https://nodejs.org): install them with the system's package manager"
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "healthcare-platform"
    directory = cache / f"{package.replace('/', '-').lstrip('@')}-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "node_modules" / path).exists():
            command = [npm, "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(directory)]
            subprocess.run([*command, f"{package}@{version}"], check=True, timeout=240, stdin=subprocess.DEVNULL)
    return [node, str(directory / "node_modules" / path)]
