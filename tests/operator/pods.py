"""A stand-in for the kubelet: it says of every pod that it is ready, and starts nothing.

Deployments and StatefulSets get their status from the real controllers. A pod whose image is called `broken` does not
become ready, as one that cannot be pulled or whose migration fails.
"""

import threading

import httpx2 as httpx

from tests.cluster.api import Api, Manifest, Refused, Unavailable
from tests.cluster.controlplane import ControlPlane

EVERY_SECONDS = 0.2
CONDITIONS = [{"type": kind, "status": "True"} for kind in ("Initialized", "ContainersReady", "Ready")]


class Pods:
    """Plays until `stop`."""

    def __init__(self, cluster: ControlPlane) -> None:
        self._api = Api(cluster, "pods-stand-in")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pods", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(30)
        self._api.close()

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            try:
                for pod in self._api.list("Pod"):
                    self._play(pod)
            except (httpx.TransportError, Unavailable):
                continue

    def _play(self, pod: Manifest) -> None:
        ready = any(each["type"] == "Ready" for each in pod["status"].get("conditions", []))
        broken = any("broken" in each["image"] for each in pod["spec"]["containers"])
        if ready or broken or "deletionTimestamp" in pod["metadata"]:
            return
        meta = {key: pod["metadata"][key] for key in ("name", "namespace")}
        told = {"phase": "Running", "conditions": CONDITIONS}
        try:
            self._api.apply("Pod", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": told}, "status")
        except Unavailable:
            raise
        except Refused:
            return  # deleted in the meantime
