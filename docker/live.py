"""Imported by Python itself (as sitecustomize) in images of the `dev` target: new code runs without a new image.

The members' packages are copied to LIVE, which is writable in a pod with a read-only root and outlives a restart of
its container. Whatever changes there replaces the running program by itself, under the same process id.
"""

import importlib.util
import os
import shutil
import sys
import threading
import time
from pathlib import Path

LIVE = Path(os.environ.get("LIVE_DIR", "/tmp/live"))  # noqa: S108 (a pod's own emptyDir)
PACKAGES = ("chassis", "healthcare_contracts", os.environ.get("SERVICE", "").replace("-", "_"))


def overlay() -> None:
    """Put LIVE before the installed packages, filled with a copy of them."""
    for package in filter(None, PACKAGES):
        found = importlib.util.find_spec(package)
        if found and found.origin and not (LIVE / package / "__init__.py").exists():
            shutil.copytree(Path(found.origin).parent, LIVE / package, dirs_exist_ok=True)
    sys.path.insert(0, str(LIVE))


def state() -> dict[str, float]:
    """When each file was changed."""
    return {str(path): path.stat().st_mtime for path in LIVE.rglob("*.py")}


def watch() -> None:
    """Replace this program by a fresh start of itself once a file has changed and a moment has passed."""
    before = state()
    while (now := state()) == before:
        time.sleep(0.5)
    while (later := state()) != now:  # a whole synchronisation, not its first file
        now = later
        time.sleep(0.3)
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 (the same words again)


if LIVE.parent.exists() and not os.environ.get("LIVE_OFF"):
    overlay()
    threading.Thread(target=watch, name="live", daemon=True).start()
