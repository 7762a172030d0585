"""Volumes for claims: a directory of the node for each, as the smallest provisioner would make it."""

import threading
from pathlib import Path
from typing import Any

import httpx2 as httpx

from tests.cluster.api import Refused
from tests.cluster.controlplane import ControlPlane, KubectlError

CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "Immediate",
}


class Volumes:
    """Answers each waiting claim with a directory; what a claim leaves behind stays until the node goes."""

    def __init__(self, cluster: ControlPlane, directory: Path) -> None:
        self.cluster = cluster
        self.directory = directory
        self._made: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="volumes", daemon=True)

    def start(self) -> None:
        self.cluster.apply(CLASS)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ended.wait(1):
            try:
                for claim in self.cluster.list("persistentvolumeclaims"):
                    if claim["metadata"]["uid"] not in self._made:
                        self._provision(claim)
            except (KubectlError, Refused, httpx.TransportError):
                continue  # the API server is away

    def _provision(self, claim: dict[str, Any]) -> None:
        meta, spec = claim["metadata"], claim["spec"]
        name = f"pv-{meta['uid']}"
        place = self.directory / name
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o777)  # no fsGroup reaches a hostPath
        volume = {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": spec.get("storageClassName", "standard"),
            "hostPath": {"path": str(place), "type": "Directory"},
            "claimRef": {"kind": "PersistentVolumeClaim", "apiVersion": "v1"}
            | {key: meta[key] for key in ("name", "namespace", "uid")},
        }
        about = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}}
        self.cluster.apply(about | {"spec": volume})
        self._made.add(meta["uid"])
