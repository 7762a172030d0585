"""What one pass saw of a platform, and the verdicts on it: the conditions of its status, without their times; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from healthcare_operator.notices import Notice
from healthcare_operator.observe import Kind
from healthcare_operator.plan import Plan
from healthcare_operator.platform import Manifest, Platform, Ref
from healthcare_operator.spec import SERVICES
from healthcare_operator.upgrade import Attempt

INSTALL = {
    "kafka.strimzi.io": "helm install strimzi oci://quay.io/strimzi-helm/strimzi-kafka-operator --version 1.2.0",
    "postgresql.cnpg.io": "helm install cnpg cloudnative-pg --repo https://cloudnative-pg.github.io/charts",
    "monitoring.coreos.com": (
        "helm install monitoring kube-prometheus-stack --repo https://prometheus-community.github.io/helm-charts"
    ),
    "gateway.networking.k8s.io": (
        "kubectl apply --server-side -f "
        "https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.1/standard-install.yaml"
    ),
}
_GROUPS = {
    "KafkaReady": ("kafka",),
    "DatabaseReady": ("postgres",),
    "RedisReady": ("redis",),
    "ServicesReady": SERVICES,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What one pass saw: everything that a status is made of.

    `unread` are the kinds that could not be read, and why; a pass that is `cut_short` saw nothing but its `errors`.
    """

    platform: Platform
    wanted: Mapping[str, Sequence[Manifest]] = field(default_factory=dict)
    observed: Mapping[Ref, Manifest] = field(default_factory=dict)
    plan: Plan = field(default_factory=Plan)
    attempt: Attempt = Attempt({}, {}, 0, {})  # noqa: RUF009 - frozen
    errors: Sequence[str] = ()
    conflicts: Sequence[str] = ()
    inventory: Sequence[Ref] = ()
    refused: Mapping[Ref, str] = field(default_factory=dict)
    fault: str | None = None
    unread: Mapping[Kind, str] = field(default_factory=dict)
    needs: Sequence[Notice] = ()
    cut_short: bool = False


Told = tuple[str, bool, str, str]
"""A condition: type, whether it holds, reason and message."""


def verdicts(seen: Seen, parts: Sequence[Mapping[str, Any]]) -> list[Told]:
    """Every condition, given the readiness of each component (`healthcare_operator.status.components`)."""
    if seen.fault is not None:
        return [("Stalled", True, "InvalidSpec", seen.fault), ("Ready", False, "Stalled", seen.fault)]
    if seen.platform.spec.suspend:
        said = "nothing is changed until spec.suspend is false again"
        return [
            ("Suspended", True, "Suspended", said),
            ("Ready", all(each["ready"] for each in parts), "Suspended", said),
        ]
    if seen.cut_short:
        said = seen.errors[0]
        return [("Degraded", True, "ApplyFailed", said), ("Ready", False, "NotReady", said)]
    by_name = {each["name"]: each for each in parts}
    told: list[Told] = [_dependencies(seen)]
    for kind, names in _GROUPS.items():
        present = [by_name[name] for name in names if name in by_name]
        bad = [each for each in present if not each["ready"]]
        words = bad[0].get("message", "") if bad else "ready" if present else "not ours to run"
        told.append((kind, not bad, "NotReady" if bad else "Ready" if present else "External", words))
    monitoring = by_name.get("monitoring")
    bad_monitoring = monitoring is not None and not monitoring["ready"]
    told.append(
        ("MonitoringReady", not bad_monitoring, *_words(bad_monitoring, (monitoring or {}).get("message", "disabled")))
    )
    told.append(_drifted(seen))
    told.append(_degraded(seen))
    told.append(_needs(seen))
    missing = _essential(seen)
    waiting = [each for each in parts if not each["ready"] and each["name"] != "monitoring"]
    is_ready = not (waiting or missing or seen.errors)
    said = (
        _first(seen.errors)
        if seen.errors
        else missing or (waiting[0].get("message", "") if waiting else "everything is ready")
    )
    told.append(("Progressing", not is_ready, "Waiting" if waiting else "Done", said))
    told.append(("Ready", is_ready and not seen.attempt.failed, "Ready" if is_ready else "NotReady", said))
    return told


def _words(bad: bool, message: str) -> tuple[str, str]:
    return ("NotReady", message) if bad else ("Ready", "ready")


def _essential(seen: Seen) -> str:
    for api_version, kind in seen.plan.missing:
        if api_version.partition("/")[0] in ("kafka.strimzi.io", "postgresql.cnpg.io"):
            return f"{kind} is not installed"
    return ""


def _dependencies(seen: Seen) -> Told:
    if not seen.plan.missing:
        return "DependenciesReady", True, "Installed", "every definition that the platform needs is served"
    groups = sorted({api_version.partition("/")[0] for api_version, _ in seen.plan.missing})
    kinds = ", ".join(sorted({kind for _, kind in seen.plan.missing}))
    commands = "; ".join(INSTALL.get(group, f"install {group}") for group in groups)
    return "DependenciesReady", False, "CRDMissing", f"no definition of {kinds}. Install it: {commands}"


def _drifted(seen: Seen) -> Told:
    if seen.conflicts:
        return "Drifted", True, "FieldConflict", f"another manager holds {seen.conflicts[0]}"
    if seen.plan.drifted and not seen.platform.spec.drift_correction:
        return "Drifted", True, "NotCorrected", f"{seen.plan.drifted[0]} was changed, and driftCorrection is false"
    return "Drifted", False, "AsWanted", "everything is as the spec says"


def _needs(seen: Seen) -> Told:
    if not seen.needs:
        return "ActionRequired", False, "Nothing", "nothing is left to do for a person"
    return "ActionRequired", True, seen.needs[0][0], "; ".join(said for _, said in seen.needs)


def _degraded(seen: Seen) -> Told:
    if seen.attempt.failed:
        why = f" ({seen.attempt.cause})" if seen.attempt.cause else ""
        first, *others = sorted(seen.attempt.new) or ["the new images"]
        named = f"{first} and {len(others)} more" if others else first
        told = f"{named} did not become ready in time{why}; the last good images run"
        return "Degraded", True, "UpgradeFailed", told
    if seen.errors:
        return "Degraded", True, "ApplyFailed", _first(seen.errors)
    return "Degraded", False, "Healthy", "nothing failed"


def _first(errors: Sequence[str]) -> str:
    return f"{errors[0]} (and {len(errors) - 1} more)" if len(errors) > 1 else errors[0]
