"""A platform → its objects, component by component; pure. Kubernetes objects come from the charts and nowhere else."""

from collections.abc import Mapping

from healthcare_operator import values
from healthcare_operator.helm import Charts
from healthcare_operator.platform import COMPONENT, MANAGER, PLATFORM, Manifest, Platform
from healthcare_operator.values import COMPONENTS

DATA = frozenset({"Secret", "Cluster", "Database", "Kafka", "KafkaNodePool", "KafkaTopic"})
"""Kinds that hold data or the way to it: with `deletionPolicy: Retain` they outlive their platform."""

CREDENTIALS = "secrets"
"""The component of the Secrets that `healthcare_operator.secrets` makes; those of a chart are configuration."""


def holds_data(kind: str, component: str) -> bool:
    """Whether an object outlives its platform. No Secret is deleted before: the operator may not, whoever made it."""
    return kind in DATA and (kind != "Secret" or component == CREDENTIALS)


def components(platform: Platform, charts: Charts) -> dict[str, list[Manifest]]:
    """Component → its objects, in the order in which they are applied; what is external or disabled is not there.

    Raises:
        ChartError: a chart refuses what the spec leads to.
    """
    rendered: dict[str, list[Manifest]] = {}
    for component in COMPONENTS:
        wanted = values.of(platform, component)
        if wanted is not None:
            found = charts.render(component, wanted, name=platform.name, namespace=platform.namespace)
            rendered[component] = [belonging(platform, component, each) for each in found]
    return rendered


def belonging(platform: Platform, component: str, manifest: Manifest) -> Manifest:
    """The manifest with the labels that find it again, and the reference that lets it go with its platform."""
    meta = manifest["metadata"]
    ours = {PLATFORM: platform.name, COMPONENT: component}
    labels = {**meta.get("labels", {}), **ours, "app.kubernetes.io/managed-by": MANAGER}
    meta = {**meta, "namespace": platform.namespace, "labels": labels}
    if platform.spec.deletion_policy == "Delete" or not holds_data(manifest["kind"], component):
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
