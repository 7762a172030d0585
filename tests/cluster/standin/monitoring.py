"""What prometheus-operator 0.93 says: servers by `Available`, monitors and rules by a binding per selecting server."""

from typing import Any

from tests.cluster.standin.world import Invalid, Judge, Manifest, Report, World, condition, require_secret

GROUP = "monitoring.coreos.com"
SELECTORS = {
    "ServiceMonitor": "serviceMonitorSelector",
    "PodMonitor": "podMonitorSelector",
    "PrometheusRule": "ruleSelector",
}


def server(resource: Manifest, world: World) -> Report:
    """A Prometheus or an Alertmanager whose Secrets are there."""
    meta, spec = resource["metadata"], resource["spec"]
    secrets = list(spec.get("secrets", [])) + ([spec["configSecret"]] if "configSecret" in spec else [])
    for name in secrets:
        require_secret(world, meta["namespace"], {"name": name}, "a mounted file")
    count = spec.get("replicas", 1)
    counts = dict.fromkeys(("replicas", "availableReplicas", "updatedReplicas"), count)
    good = [condition("Available", True), condition("Reconciled", True)]
    return Report({"paused": False, "unavailableReplicas": 0, **counts, "conditions": _observed(resource, good)})


def selected(resource: Manifest, world: World) -> Report:
    """A binding for each Prometheus that selects the object; no word where none does. Bad PromQL goes through."""
    servers = world.all(f"Prometheus.{GROUP}", resource["metadata"]["namespace"])
    bindings = [_binding(resource, found) for found in servers if _selects(found, resource)]
    return Report({"bindings": bindings} if bindings else None)


def failed(kind: str, reason: str) -> Manifest:
    """How prometheus-operator reports a server that does not come up; for the rest it says nothing."""
    if kind not in {"Prometheus", "Alertmanager"}:
        return {}
    bad = [condition("Available", False, "NoPodReady", reason), condition("Reconciled", False, "Failed", reason)]
    counts = dict.fromkeys(("replicas", "availableReplicas", "updatedReplicas", "unavailableReplicas"), 0)
    return {"paused": False, **counts, "conditions": bad}


def _binding(resource: Manifest, found: Manifest) -> Manifest:
    meta = found["metadata"]
    accepted = _observed(resource, [condition("Accepted", True, "Accepted", "selected")])
    place = {"group": GROUP, "resource": "prometheuses", "name": meta["name"], "namespace": meta["namespace"]}
    return {**place, "conditions": accepted}


def _selects(found: Manifest, resource: Manifest) -> bool:
    selector: Any = found["spec"].get(SELECTORS[resource["kind"]])
    if selector is None:
        return False  # nothing is selected where nothing is asked for
    labels = resource["metadata"].get("labels", {})
    if unsupported := selector.get("matchExpressions"):
        raise Invalid(f"the stand-in does not read {unsupported}")
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def _observed(resource: Manifest, conditions: list[Manifest]) -> list[Manifest]:
    return [found | {"observedGeneration": resource["metadata"]["generation"]} for found in conditions]


JUDGES: dict[str, Judge] = {
    f"Prometheus.{GROUP}": server,
    f"Alertmanager.{GROUP}": server,
    f"ServiceMonitor.{GROUP}": selected,
    f"PodMonitor.{GROUP}": selected,
    f"PrometheusRule.{GROUP}": selected,
}
