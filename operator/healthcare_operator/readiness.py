"""Whether an object is ready, by its kind; pure. Each operator says it in its own way."""

from collections.abc import Callable

from healthcare_operator.platform import Manifest

Verdict = tuple[bool, str]
"""Ready or not, and why not."""


def ready(manifest: Manifest | None) -> Verdict:
    """The verdict on an object as the API server shows it."""
    if manifest is None:
        return False, "is not there yet"
    judge = _JUDGES.get(manifest["kind"])
    return judge(manifest) if judge else (True, "")


def _deployment(manifest: Manifest) -> Verdict:
    status, spec = manifest.get("status", {}), manifest["spec"]
    if status.get("observedGeneration", 0) < manifest["metadata"].get("generation", 1):
        return False, "its change is not seen yet"
    for each in status.get("conditions", []):
        if each["type"] == "ReplicaFailure" and each["status"] == "True":  # a quota, a limit, an admission policy
            return False, f"its pods are refused: {each.get('message', each.get('reason', ''))}"
        if each["type"] == "Progressing" and each.get("reason") == "ProgressDeadlineExceeded":
            return False, "its new pods do not become ready"
    wanted = spec.get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted or available < wanted or status.get("replicas", 0) > wanted:
        return False, f"{min(updated, available)} of {wanted} pods are ready"
    return True, ""


def _stateful_set(manifest: Manifest) -> Verdict:
    status, wanted = manifest.get("status", {}), manifest["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < manifest["metadata"].get("generation", 1):
        return False, "its change is not seen yet"
    done = min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0))
    return (True, "") if done >= wanted else (False, f"{done} of {wanted} pods are ready")


def _strimzi(manifest: Manifest) -> Verdict:
    """Failure is `NotReady=True` of a Kafka and KafkaUser, `Ready=False` of a KafkaTopic."""
    status = manifest.get("status", {})
    if lacks_replicas(manifest):
        return True, ""  # it carries messages; `healthcare_operator.notices` says what it lacks
    held = {each["type"]: each for each in status.get("conditions", [])}
    for kind, bad in (("NotReady", "True"), ("Ready", "False")):
        if held.get(kind, {}).get("status") == bad:
            return False, held[kind].get("message") or held[kind].get("reason") or "is not ready"
    if status.get("observedGeneration", 0) < manifest["metadata"].get("generation", 1):
        return False, "is not seen by Strimzi yet"
    return (True, "") if held.get("Ready", {}).get("status") == "True" else (False, "is not ready yet")


def lacks_replicas(topic: Manifest) -> bool:
    """Whether Strimzi says of a topic that it has another number of replicas, and nothing worse."""
    if topic["kind"] != "KafkaTopic":
        return False
    said = [each for each in topic.get("status", {}).get("conditions", []) if each["type"] == "Ready"]
    return any(
        each["status"] == "False"
        and each.get("reason") == "NotSupported"
        and each.get("message", "").startswith("Replication factor change")
        for each in said
    )


def _cluster(manifest: Manifest) -> Verdict:
    """CloudNativePG's Cluster has no observedGeneration: several signs together."""
    status = manifest.get("status", {})
    held = {each["type"]: each["status"] for each in status.get("conditions", [])}
    phase = status.get("phase", "is not seen by CloudNativePG yet")
    enough = status.get("readyInstances", 0) >= manifest["spec"].get("instances", 1)
    good = held.get("Ready") == "True" and phase == "Cluster in healthy state" and enough
    return (True, "") if good else (False, str(status.get("phaseReason") or phase))


def _database(manifest: Manifest) -> Verdict:
    status = manifest.get("status", {})
    return (True, "") if status.get("applied") is True else (False, status.get("message") or "is not made yet")


def _monitoring(manifest: Manifest) -> Verdict:
    """Prometheus and Alertmanager: `Reconciled=False` has the reason where `Available` only misses a StatefulSet."""
    generation = manifest["metadata"].get("generation", 1)
    held = {each["type"]: each for each in manifest.get("status", {}).get("conditions", [])}
    for kind, late in (("Reconciled", "its change is not seen yet"), ("Available", "is not available yet")):
        found = held.get(kind, {})
        if found and found.get("observedGeneration", generation) < generation:
            return False, late
        if found.get("status") == "False" or (kind == "Available" and found.get("status") != "True"):
            return False, found.get("message") or found.get("reason") or late
    return True, ""


_JUDGES: dict[str, Callable[[Manifest], Verdict]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "Kafka": _strimzi,
    "KafkaTopic": _strimzi,
    "KafkaUser": _strimzi,
    "Cluster": _cluster,
    "Database": _database,
    "Prometheus": _monitoring,
    "Alertmanager": _monitoring,
}
