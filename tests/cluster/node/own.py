"""A node of our own: control plane, containerd, kubelet, kube-proxy and name server as processes of this machine."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.controlplane import ControlPlane
from tests.cluster.node import images, machine
from tests.cluster.node.agents import NAME, Kubelet, NameServer, Proxy
from tests.cluster.node.node import Node
from tests.cluster.node.runtime import Runtime
from tests.cluster.node.volumes import Volumes
from tests.engine.daemon import engine


class OwnNode(ControlPlane, Node):
    """The control plane on the bridge's address, and a node that belongs to it."""

    name = NAME

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
        """End every process by its id; what the runtime left behind is swept by `own_node`."""
        self.volumes.stop()
        for agent in (self.kubelet, self.proxy, self.names):
            agent.kill()
        super().stop()
        machine.run(str(self.binary), "kube-proxy", "--cleanup", check=False)
        self.runtime.kill()

    def provide(self) -> None:
        archive = self.directory / "images.tar"
        with engine() as built:
            images.archive(built, archive)
        self.runtime.load(archive)
        archive.unlink()

    def door(self, service: str, namespace: str) -> str:
        """The Service's own address: kube-proxy's rules hold for this machine too."""
        found = self.get("service", service, namespace)
        assert found, f"there is no Service {service}"
        return f"http://{found['spec']['clusterIP']}:{found['spec']['ports'][0]['port']}"

    def stop_kubelet(self) -> None:
        self.kubelet.kill()

    def start_kubelet(self) -> None:
        self.kubelet.start()


@contextlib.contextmanager
def own_node(directory: Path | None = None) -> Iterator[OwnNode]:
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
        cluster = OwnNode(directory)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
            machine.sweep(directory, before)
