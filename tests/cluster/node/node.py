"""A cluster of one node that runs real pods: control plane, containerd, kubelet, kube-proxy and name server."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.controlplane import ControlPlane, eventually
from tests.cluster.node import machine
from tests.cluster.node.agents import NAME, Kubelet, NameServer, Proxy
from tests.cluster.node.runtime import Runtime
from tests.cluster.node.volumes import Volumes


class NodeCluster(ControlPlane):
    """The control plane on the bridge's address, and a node that belongs to it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, host=machine.ADDRESS)
        self.runtime = Runtime(directory)
        self.kubelet = Kubelet(self.binary, directory, self.runtime)
        self.proxy = Proxy(self.binary, directory)
        self.names = NameServer(directory)
        self.volumes = Volumes(self, directory / "volumes")

    def start(self) -> None:
        """Returns when the node is Ready and names are answered."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.runtime.start()
        super().start()
        for agent in (self.kubelet, self.proxy, self.names):
            agent.start()
        self.volumes.start()
        self.wait_until_ready(90)

    def stop(self) -> None:
        """End every process by its id; what the runtime left behind is swept by `node_cluster`."""
        self.volumes.stop()
        for agent in (self.kubelet, self.proxy, self.names):
            agent.kill()
        super().stop()
        machine.run(str(self.binary), "kube-proxy", "--cleanup", check=False)
        self.runtime.kill()

    def load(self, archive: Path) -> None:
        """Give the node the images of an archive that `docker save` wrote."""
        self.runtime.load(archive)

    def wait_until_ready(self, within: float) -> None:
        """The node reports Ready."""
        self.kubectl("wait", "--for=create", f"node/{NAME}", f"--timeout={within:.0f}s")
        self.kubectl("wait", "--for=condition=Ready", f"node/{NAME}", f"--timeout={within:.0f}s")

    def settle(self, namespace: str, within: float) -> None:
        """Every pod of a namespace is Ready, and none is on its way out."""
        eventually(lambda: self._settled(namespace), f"settled pods in {namespace}", within, every=0.5)

    def _settled(self, namespace: str) -> bool:
        pods = self.list("pods", namespace)
        return bool(pods) and all(ready(pod) for pod in pods)


def ready(pod: dict) -> bool:
    """A pod that serves, or has done what it was for, and is not on its way out."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    said = {found["type"]: found["status"] for found in pod["status"].get("conditions", [])}
    return pod["status"]["phase"] == "Succeeded" or said.get("Ready") == "True"


@contextlib.contextmanager
def node_cluster(directory: Path | None = None) -> Iterator[NodeCluster]:
    """A node until the block ends. NoNode where this machine cannot be one."""
    machine.check()
    before = machine.network_namespaces()
    with contextlib.ExitStack() as stack:
        if directory is None:  # sockets want a short path
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="node-", ignore_cleanup_errors=True))
            directory = Path(place)
        stack.enter_context(machine.claim(directory))
        machine.unclaimed()
        stack.enter_context(machine.bridge())
        cluster = NodeCluster(directory)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
            machine.sweep(directory, before)
