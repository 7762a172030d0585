"""`make cluster-up`: kind with the operators where Docker and kind are, this machine as a node of its own otherwise.

The own node, as kind-built, is held by a process in the background; `.run/cluster` has its id, log and kubeconfig.
"""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from hpctl.layout import ROOT

from tests.cluster import crds
from tests.cluster.node import machine
from tests.cluster.node.choice import a_node, chosen

PLACE = ROOT / ".run" / "cluster"
PID = PLACE / "pid"
KUBECONFIG = PLACE / "kubeconfig"
HOLD = "from tests.cluster.up import hold; hold()"
WITHIN = 2400  # Kubernetes and all images, built for the first time


def holder() -> int | None:
    """The process that holds the node, if it lives. After a restart of the machine its id may be another's."""
    try:
        process = psutil.Process(int(PID.read_text()))
        return process.pid if HOLD in process.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None


def hold() -> None:
    """Be the node until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with a_node() as cluster:
        cluster.provide()
        shutil.copy(cluster.kubeconfig, KUBECONFIG)
        signal.pause()


def start() -> None:
    """Start the holder and wait until it has written the kubeconfig."""
    machine.check()
    PLACE.mkdir(parents=True, exist_ok=True)
    KUBECONFIG.unlink(missing_ok=True)
    log = PLACE / "log"
    with log.open("w") as output:
        command = [sys.executable, "-c", HOLD]
        child = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    PID.write_text(str(child.pid))
    deadline = time.monotonic() + WITHIN
    while not KUBECONFIG.exists():
        if child.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"the node did not come up; {log} says:\n{_last_words(log)}")
        time.sleep(0.5)


def main() -> None:
    if chosen() == "kind":
        subprocess.run([ROOT / "k8s/kind/up.sh", *crds.operators()], check=True)
        print("kubectl config use-context kind-healthcare; then: skaffold dev, or tilt up -f tilt/Tiltfile")
        return
    if holder() is None:
        start()
    print(f"export KUBECONFIG={KUBECONFIG}\nthe platform's images are on the node; make cluster-down takes it away")


def _last_words(log: Path) -> str:
    return "\n".join(log.read_text().strip().splitlines()[-3:])


if __name__ == "__main__":
    try:
        main()
    except machine.NoNode as reason:
        sys.exit(str(reason))
