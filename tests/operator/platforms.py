"""HealthcarePlatforms in one namespace, as a user with kubectl sees them."""

import json
from typing import Any

from hpctl.layout import ROOT

from tests.cluster.controlplane import ControlPlane, Manifest, eventually

LABEL = "healthcareplatform.io/platform"
BUILTIN: dict[str, Any] = {
    "kafka": {"mode": "builtin"},
    "postgres": {"mode": "builtin"},
    "redis": {"mode": "builtin"},
    "monitoring": {"mode": "disabled"},
}
OWNED = "deployments,statefulsets,services,configmaps,serviceaccounts,networkpolicies,poddisruptionbudgets"
SAMPLES = ROOT / "k8s" / "samples"


def resource(spec: dict[str, Any], name: str = "care") -> Manifest:
    """A HealthcarePlatform."""
    kind = {"apiVersion": "healthcareplatform.io/v1alpha1", "kind": "HealthcarePlatform"}
    return {**kind, "metadata": {"name": name}, "spec": spec}


class Platforms:
    """Applies, edits, looks and waits. Names default to `care`."""

    def __init__(self, cluster: ControlPlane, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def apply(self, spec: dict[str, Any] | None = None, name: str = "care") -> None:
        self.cluster.apply(resource(BUILTIN if spec is None else spec, name), namespace=self.namespace)

    def edit(self, patch: dict[str, Any], name: str = "care") -> None:
        """A merge patch of the spec."""
        self.kubectl("patch", "hcp", name, "--type=merge", "--patch", json.dumps({"spec": patch}))

    def kubectl(self, *words: str) -> str:
        return self.cluster.kubectl(*words, "--namespace", self.namespace)

    def status(self, name: str = "care") -> dict[str, Any]:
        found = self.cluster.get("hcp", name, self.namespace)
        return (found or {}).get("status", {})

    def condition(self, kind: str, name: str = "care") -> dict[str, Any]:
        told = self.status(name).get("conditions", [])
        return next((each for each in told if each["type"] == kind), {"status": "Unknown", "reason": "", "message": ""})

    def holds(
        self, kind: str, status: str, reason: str = "", name: str = "care", within: float = 150
    ) -> dict[str, Any]:
        """Wait for a condition; returns it."""

        def look() -> dict[str, Any] | None:
            told = self.condition(kind, name)
            return told if told["status"] == status and reason in ("", told["reason"]) else None

        try:
            found: dict[str, Any] = eventually(look, f"{kind}={status} {reason}", within)
        except AssertionError as error:
            raise AssertionError(f"{error}; status: {json.dumps(self.status(name), indent=1)[:4000]}") from None
        return found

    def ready(self, name: str = "care", within: float = 200) -> dict[str, Any]:
        """Wait until the newest spec runs; returns the status."""

        def look() -> dict[str, Any] | None:
            found = self.cluster.get("hcp", name, self.namespace) or {}
            told = found.get("status", {})
            seen = told.get("observedGeneration") == found["metadata"]["generation"]
            return told if seen and told.get("phase") == "Ready" else None

        try:
            status: dict[str, Any] = eventually(look, f"platform {name} that is ready", within)
        except AssertionError as error:
            raise AssertionError(f"{error}; status: {json.dumps(self.status(name), indent=1)[:4000]}") from None
        return status

    def get(self, kind: str, name: str) -> Manifest | None:
        return self.cluster.get(kind, name, self.namespace)

    def there(self, kind: str, name: str) -> Manifest:
        found = self.get(kind, name)
        assert found, f"no {kind} {name}"
        return found

    def annotations(self, workload: str) -> dict[str, str]:
        """Those of a workload's pods: when one changes, they are replaced."""
        kind, _, name = workload.partition("/")
        found: dict[str, str] = self.there(kind, name)["spec"]["template"]["metadata"]["annotations"]
        return found

    def children(self, kinds: str = OWNED, name: str = "care") -> dict[tuple[str, str], Manifest]:
        """What belongs to a platform, by kind and name."""
        found = self.cluster.list(kinds, self.namespace, f"{LABEL}={name}")
        return {(each["kind"], each["metadata"]["name"]): each for each in found}

    def versions(self, name: str = "care") -> dict[tuple[str, str], int]:
        """The generation, or where there is none the resourceVersion, of everything that belongs to a platform."""
        found = self.children(f"{OWNED},secrets", name)
        return {
            key: int(each["metadata"].get("generation", each["metadata"]["resourceVersion"]))
            for key, each in found.items()
        }
