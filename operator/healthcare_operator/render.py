"""A platform → its objects, component by component; pure. Kubernetes objects come from the charts and nowhere else."""

from collections.abc import Callable, Mapping
from typing import Any

from healthcare_operator.helm import Charts
from healthcare_operator.platform import COMPONENT, MANAGER, PLATFORM, Manifest, Platform
from healthcare_operator.spec import SERVICES
from healthcare_operator.values import kafka, monitoring, postgres, redis, service

DATA = frozenset({"Secret", "Cluster", "Database", "Kafka", "KafkaNodePool", "KafkaTopic"})
"""Kinds that hold data or the way to it: with `deletionPolicy: Retain` they outlive their platform."""

Values = Callable[[Platform], dict[str, Any] | None]

INFRASTRUCTURE: dict[str, Values] = {"kafka": kafka, "postgres": postgres, "redis": redis}


def components(platform: Platform, charts: Charts) -> dict[str, list[Manifest]]:
    """Component → its objects, in the order in which they are applied; what is external or disabled is not there.

    Raises:
        ChartError: a chart refuses what the spec leads to.
    """
    wanted: dict[str, dict[str, Any] | None] = {name: values(platform) for name, values in INFRASTRUCTURE.items()}
    wanted |= {name: service(platform, name) for name in SERVICES}
    wanted["monitoring"] = monitoring(platform)
    rendered: dict[str, list[Manifest]] = {}
    for component, values in wanted.items():
        if values is not None:
            found = charts.render(component, values, name=platform.name, namespace=platform.namespace)
            found = [each for each in found if component != "monitoring" or _wanted(platform, each)]
            rendered[component] = [belonging(platform, component, each) for each in found]
    return rendered


def _wanted(platform: Platform, manifest: Manifest) -> bool:
    """With a Prometheus that is there already, only what it reads."""
    return platform.spec.monitoring.mode != "external" or manifest["kind"] == "PrometheusRule"


def belonging(platform: Platform, component: str, manifest: Manifest) -> Manifest:
    """The manifest with the labels that find it again, and the reference that lets it go with its platform."""
    meta = manifest["metadata"]
    ours = {PLATFORM: platform.name, COMPONENT: component}
    labels = {**meta.get("labels", {}), **ours, "app.kubernetes.io/managed-by": MANAGER}
    meta = {**meta, "namespace": platform.namespace, "labels": labels}
    if platform.spec.deletion_policy == "Delete" or manifest["kind"] not in DATA:
        meta["ownerReferences"] = [platform.owner]
    return _volumes({**manifest, "metadata": meta}, ours)


def _volumes(manifest: Manifest, labels: Mapping[str, str]) -> Manifest:
    """A StatefulSet's volumes outlive it and are found again as the platform's (`healthcare_operator.claims`)."""
    if manifest["kind"] != "StatefulSet":
        return manifest
    kept = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    found = [_labelled(each, labels) for each in manifest["spec"].get("volumeClaimTemplates", [])]
    return {
        **manifest,
        "spec": {**manifest["spec"], "persistentVolumeClaimRetentionPolicy": kept, "volumeClaimTemplates": found},
    }


def _labelled(claim: Manifest, labels: Mapping[str, str]) -> Manifest:
    meta = claim["metadata"]
    return {**claim, "metadata": {**meta, "labels": {**meta.get("labels", {}), **labels}}}
