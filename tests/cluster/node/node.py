"""What the tests ask of a node that runs real pods, whoever provides it: `own.py` or `kind.py`."""

from abc import abstractmethod

from tests.cluster.client import Client, eventually

DOOR = "door-"  # what the name begins with of whatever `door` had to add


class Node(Client):
    """A cluster of one node, called `name`."""

    name: str

    @abstractmethod
    def provide(self) -> None:
        """Build every image that the tests run, and give them to the node."""

    @abstractmethod
    def door(self, service: str, namespace: str) -> str:
        """The URL at which this machine reaches a Service's first port."""

    @abstractmethod
    def stop_kubelet(self) -> None:
        """The node's kubelet is gone at once; its pods go on."""

    @abstractmethod
    def start_kubelet(self) -> None:
        """It is back."""

    def wait_until_ready(self, within: float) -> None:
        """The node reports Ready."""
        self.kubectl("wait", "--for=create", f"node/{self.name}", f"--timeout={within:.0f}s")
        self.kubectl("wait", "--for=condition=Ready", f"node/{self.name}", f"--timeout={within:.0f}s")

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
