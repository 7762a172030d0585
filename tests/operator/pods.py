"""A stand-in for the kubelet: it says of every pod that it is ready, and starts nothing.

Deployments and StatefulSets get their status from the real controllers. A pod whose image is called `broken` cannot be
pulled, and one whose image is called `failing` does not get beyond its migration.
"""

import threading

import httpx2 as httpx

from tests.cluster.api import Api, Manifest, Refused, Unavailable
from tests.cluster.controlplane import ControlPlane
from tests.cluster.mirror import Mirror

EVERY_SECONDS = 1.0
READY = {
    "phase": "Running",
    "conditions": [{"type": kind, "status": "True"} for kind in ("Initialized", "ContainersReady", "Ready")],
}
NOT_PULLED = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
NOT_MIGRATED = {"terminated": {"exitCode": 1, "reason": "Error", "message": "Traceback\ncolumn is not there\n"}}


class Pods:
    """Plays until `stop`."""

    def __init__(self, cluster: ControlPlane) -> None:
        self._api = Api(cluster, "pods-stand-in")
        self._mirror = Mirror(cluster, self._api, ["Pod"])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pods", daemon=True)

    def start(self) -> None:
        self._mirror.start()
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._mirror.changed.set()
        self._thread.join(30)
        self._mirror.stop()
        self._api.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._mirror.changed.wait(EVERY_SECONDS)
            self._mirror.changed.clear()
            try:
                for pod in self._mirror.all("Pod"):
                    self._play(pod)
            except (httpx.TransportError, Unavailable):
                continue

    def _play(self, pod: Manifest) -> None:
        played = any(each["manager"] == self._api.manager for each in pod["metadata"].get("managedFields", []))
        if played or "deletionTimestamp" in pod["metadata"]:
            return
        meta = {key: pod["metadata"][key] for key in ("name", "namespace")}
        told = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": _status(pod["spec"])}
        try:
            self._api.apply("Pod", told, "status")
        except Unavailable:
            raise
        except Refused:
            return  # deleted in the meantime


def _status(spec: Manifest) -> Manifest:
    [container, *_] = spec["containers"]
    if "failing" in container["image"]:
        said = [_said(each, NOT_MIGRATED) for each in spec["initContainers"]]
        return {"phase": "Pending", "initContainerStatuses": said}
    if "broken" in container["image"]:
        return {"phase": "Pending", "containerStatuses": [_said(container, NOT_PULLED)]}
    return READY


def _said(container: Manifest, state: Manifest) -> Manifest:
    plain = {"ready": False, "restartCount": 0, "imageID": ""}
    return {"name": container["name"], "image": container["image"], "state": state, **plain}
