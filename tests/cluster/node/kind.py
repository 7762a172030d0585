"""Kubernetes in Docker as the node: where Docker, kind, kubectl and helm are, as on a user's machine.

The workflow's job `cluster-on-kind` runs the pods' tests on it. Where kind's node image cannot be pulled, `built.py`
makes one; and what is said to kind is tested alone (`test_choice.py`).
"""

import contextlib
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml
from hpctl.embedded.process import free_port

from tests.cluster.node import images
from tests.cluster.node.node import DOOR, Node

PROGRAMS = ("docker", "kind", "kubectl", "helm")
DOORS = range(30400, 30408)  # ports of the node that are this machine's too: one for each Service that a test enters


class KindNode(Node):
    """A kind cluster with a name, a kubeconfig and ports of its own: nobody's current context is touched."""

    def __init__(self, directory: Path) -> None:
        # by its whole path: a shell of the tests has a `kubectl` of its own, which calls this one
        super().__init__(directory, shutil.which("kubectl") or "kubectl")
        self.cluster = f"healthcare-{secrets.token_hex(3)}"
        self.name = f"{self.cluster}-control-plane"
        self.ports = {port: free_port() for port in DOORS}
        self._doors: dict[tuple[str, str], int] = {}

    def start(self) -> None:
        """Returns when the node is Ready."""
        configuration = self.directory / "kind.yaml"
        configuration.write_text(yaml.safe_dump(self.configuration()))
        run(*self.creation(configuration), timeout=900)
        self.wait_until_ready(180)

    def stop(self) -> None:
        """The cluster goes, with everything in it."""
        run(*self.deletion())

    def configuration(self) -> dict:
        """One node, whose doors are ports of this machine's loopback."""
        doors = [
            {"containerPort": door, "hostPort": port, "listenAddress": "127.0.0.1"} for door, port in self.ports.items()
        ]
        node = {"role": "control-plane", "extraPortMappings": doors}
        return {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [node]}

    def creation(self, configuration: Path) -> list[str]:
        where = [f"--name={self.cluster}", f"--kubeconfig={self.kubeconfig}"]
        return ["kind", "create", "cluster", *where, f"--config={configuration}", "--wait=180s"]

    def deletion(self) -> list[str]:
        return ["kind", "delete", "cluster", f"--name={self.cluster}", f"--kubeconfig={self.kubeconfig}"]

    def loading(self, archive: Path) -> list[str]:
        return ["kind", "load", "image-archive", str(archive), f"--name={self.cluster}"]

    def provide(self) -> None:
        """Ours by the machine's Docker; the servers' official images are pulled by the node itself."""
        archive = self.directory / "images.tar"
        images.archive_ours(images.MachinesDocker(), archive)
        run(*self.loading(archive), timeout=900)
        archive.unlink()
        for image in images.official():
            self._inside("crictl", "pull", image)

    def door(self, service: str, namespace: str) -> str:
        """A NodePort in front of the same pods: a Service's own address is known inside the cluster only."""
        key = (service, namespace)
        if key not in self._doors:
            found = self.get("service", service, namespace)
            assert found, f"there is no Service {service}"
            self._doors[key] = DOORS[len(self._doors)]
            self.apply(_beside(found, self._doors[key]), namespace=namespace)
        return f"http://127.0.0.1:{self.ports[self._doors[key]]}"

    def stop_kubelet(self) -> None:
        self._inside("systemctl", "kill", "--signal=SIGKILL", "kubelet")
        self._inside("systemctl", "stop", "kubelet")  # systemd would have it back within seconds

    def start_kubelet(self) -> None:
        self._inside("systemctl", "start", "kubelet")

    def _inside(self, *words: str) -> None:
        run("docker", "exec", self.name, *words)


def present() -> bool:
    """Whether a kind cluster can be made: the programs are there and Docker answers."""
    if any(shutil.which(program) is None for program in PROGRAMS):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def kind_node() -> Iterator[KindNode]:
    """A kind cluster until the block ends."""
    with tempfile.TemporaryDirectory(prefix="kind-") as place:
        yield from running(KindNode(Path(place)))


def running(node: KindNode) -> Iterator[KindNode]:
    """Its cluster, until the caller goes on."""
    try:
        node.start()
        yield node
    finally:
        node.stop()


def run(*words: str, timeout: float = 600) -> None:
    """A program of the machine; a failure raises with what it printed."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")


def _beside(service: dict, door: int) -> dict:
    """Another Service for the same pods, at this port of the node."""
    [port, *_] = service["spec"]["ports"]
    chosen = {"port": port["port"], "targetPort": port["targetPort"], "nodePort": door}
    spec = {"type": "NodePort", "selector": service["spec"]["selector"], "ports": [chosen]}
    meta = {"name": f"{DOOR}{door}", "namespace": service["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
