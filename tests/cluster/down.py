"""`make cluster-down`: the kind cluster or the own node goes, with everything in it."""

import os
import shutil
import signal
import subprocess
import sys
import time

from tests.cluster.node import kind
from tests.cluster.up import PLACE, holder

WITHIN = 120


def main() -> None:
    pid = holder()
    if pid is None and not kind.present():
        print("nothing to take away")
    if pid is None and kind.present():
        subprocess.run(["kind", "delete", "cluster", "--name", "healthcare"], check=True)
    if pid is not None:
        _end(pid)
        shutil.rmtree(PLACE)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + WITHIN
    while holder() == pid:
        if time.monotonic() > deadline:
            sys.exit(f"process {pid} has not ended within {WITHIN} s; see {PLACE / 'log'}")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
