"""What prometheus-operator 0.93 says: servers by `Available`, monitors and rules by a binding per selecting server."""

from typing import Any

from tests.cluster.standin.world import Invalid, Judge, Manifest, Report, World, child, condition, require_secret

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
    storage = spec.get("storage", {}).get("volumeClaimTemplate")
    if storage and (unknown := _unknown_class(storage, world)):
        return Report(_unreconciled(resource, f'failed to reconcile: storage class "{unknown}" does not exist'))
    children = [_stateful_set(resource, storage)] if storage else []
    if storage and not _volume(resource, world):
        waiting = [condition("Available", False, "NoPodReady"), condition("Reconciled", True)]
        return Report({"paused": False, **_no_pods(), "conditions": _observed(resource, waiting)}, children)
    count = spec.get("replicas", 1)
    counts = dict.fromkeys(("replicas", "availableReplicas", "updatedReplicas"), count)
    good = [condition("Available", True), condition("Reconciled", True)]
    counts["unavailableReplicas"] = 0
    return Report({"paused": False, **counts, "conditions": _observed(resource, good)}, children)


def _unknown_class(storage: Manifest, world: World) -> str:
    """A StorageClass that does not exist, as the original looks it up before it makes anything."""
    name: str = storage["spec"].get("storageClassName", "")
    return "" if not name or world.find("StorageClass.storage.k8s.io", "", name) else name


def _unreconciled(resource: Manifest, reason: str) -> Manifest:
    """`Available` only misses the StatefulSet that was never made."""
    missing = f"statefulset prometheus-{resource['metadata']['name']} not found"
    bad = [condition("Available", False, "StatefulSetNotFound", missing)]
    bad.append(condition("Reconciled", False, "ReconciliationFailed", reason))
    return {"paused": False, **_no_pods(), "conditions": _observed(resource, bad)}


def _no_pods() -> Manifest:
    return dict.fromkeys(("replicas", "availableReplicas", "updatedReplicas", "unavailableReplicas"), 0)


def _stateful_set(resource: Manifest, storage: Manifest) -> tuple[str, Manifest]:
    """Its volume has the labels of its selector, as the StatefulSet's controller gives them, and no others."""
    name = resource["metadata"]["name"]
    labels = {"operator.prometheus.io/name": name, "prometheus": name}
    container = {"name": "prometheus", "image": "prometheus"}
    asked = resource["spec"].get("podMetadata", {}).get("labels", {})
    pod = {"metadata": {"labels": asked | labels}, "spec": {"containers": [container]}}
    claim = {"metadata": {"name": f"prometheus-{name}-db"}, "spec": storage["spec"]}
    spec = {"serviceName": "prometheus-operated", "selector": {"matchLabels": labels}, "template": pod}
    spec |= {"volumeClaimTemplates": [claim]}
    return child(resource, "StatefulSet", f"prometheus-{name}", "apps/v1", labels, spec=spec)


def _volume(resource: Manifest, world: World) -> bool:
    meta = resource["metadata"]
    name = f"prometheus-{meta['name']}-db-prometheus-{meta['name']}-0"
    return world.find("PersistentVolumeClaim", meta["namespace"], name) is not None


def finalizer(resource: Manifest, world: World, *, clinging: bool) -> None:
    """None."""
    del resource, world, clinging


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
    return {"paused": False, **_no_pods(), "conditions": bad}


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
