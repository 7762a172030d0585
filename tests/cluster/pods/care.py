"""The laptop sample in real pods, as its user sees and edits it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from hpctl.layout import ROOT

from tests.cluster.client import eventually
from tests.cluster.node.node import ready
from tests.cluster.pods.platform import NAMES, Platform

LAPTOP = ROOT / "k8s/samples/laptop.yaml"
NAME = yaml.safe_load(LAPTOP.read_text())["metadata"]["name"]
PATIENTS = "patient-service"
OPERATORS = "--selector=app.kubernetes.io/name=healthcare-operator"


class Care(Platform):
    """A platform that the operator keeps."""

    def edit(self, **spec: Any) -> None:
        words = ("patch", "hcp", NAME, "--namespace", self.namespace, "--type=merge", "--patch")
        self.cluster.kubectl(*words, json.dumps({"spec": spec}))

    def image(self, tag: str, **upgrade: Any) -> None:
        """Another image for the service that is migrated."""
        image = f"{PATIENTS}:{tag}" if tag else None
        self.edit(services={PATIENTS: {"image": image}}, **({"upgrade": upgrade} if upgrade else {}))

    def status(self) -> dict[str, Any]:
        found = self.cluster.get("hcp", NAME, self.namespace) or {}
        status: dict[str, Any] = found.get("status", {})
        return status

    def condition(self, kind: str) -> dict[str, Any]:
        return next(each for each in self.status()["conditions"] if each["type"] == kind)

    def holds(self, condition: str, within: int) -> None:
        """Wait for a condition of the newest spec; what the others say stands in the error."""

        def look() -> bool:
            found = self.cluster.get("hcp", NAME, self.namespace) or {}
            told = found.get("status", {})
            new = told.get("observedGeneration") == found["metadata"]["generation"]
            held = {each["type"]: each["status"] for each in told.get("conditions", [])}
            return new and held.get(condition) == "True"

        try:
            eventually(look, f"{NAME} that is {condition}", within, every=1)
        except AssertionError as late:
            raise AssertionError(json.dumps(self.status().get("conditions"), indent=1)) from late

    def tags(self, *names: str) -> set[str]:
        """The tags of these services' pods that serve; of all services without names."""
        pods = [pod for name in names or NAMES for pod in self.pods(name).values() if ready(pod)]
        return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in pods}

    def revision(self, pod: dict[str, Any]) -> str:
        """Which schema the database had when this pod of patient-service started, by its health."""
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}:4000/proxy/actuator/health"
        found: str = json.loads(self.cluster.kubectl("get", "--raw", path))["components"]["schema"]["details"][
            "revision"
        ]
        return found

    def replace(self, *names: str, within: float = 240) -> None:
        """Delete the pods of these components, and wait until as many others serve."""
        before = {name: self.pods(name) for name in names}
        assert all(before.values()), before.keys()
        doomed = [pod["metadata"]["name"] for pods in before.values() for pod in pods.values()]
        self.cluster.kubectl("delete", "pod", *doomed, "--namespace", self.namespace, "--wait=false")
        self.replaced({name: set(pods) for name, pods in before.items()}, within)

    def lose_operator(self) -> None:
        """Its pod is killed at once and forgotten; the Deployment makes another one."""
        self.cluster.kubectl("delete", "pod", "--all-namespaces", OPERATORS, "--grace-period=0", "--force")

    @contextmanager
    def without_operator(self) -> Iterator[None]:
        """Nobody looks after the platform until the block ends."""
        chosen = ("--all-namespaces", OPERATORS, "--output=jsonpath={.items[0].metadata.namespace}")
        namespace = self.cluster.kubectl("get", "deployment", *chosen)
        words = ("scale", "deployment", OPERATORS, "--namespace", namespace)
        self.cluster.kubectl(*words, "--replicas=0")
        pods = ("get", "pods", OPERATORS, "--namespace", namespace, "--output=name")
        eventually(lambda: not self.cluster.kubectl(*pods).strip(), "end of the operator", 60, every=0.5)
        yield
        self.cluster.kubectl(*words, "--replicas=1")

    def replaced(self, before: dict[str, set[str]], within: float = 300) -> None:
        """Wait until other pods than these serve in each component."""
        for name, pods in before.items():
            eventually(lambda name=name, pods=pods: self._others(name, pods), f"another {name}", within, every=0.5)

    def _others(self, name: str, before: set[str]) -> bool:
        now = self.pods(name)
        return bool(now) and not before & set(now) and all(ready(pod) for pod in now.values())
