"""What is told of a platform; pure. Conditions follow the Kubernetes API conventions: a transition time moves only when
the status does."""

from collections.abc import Mapping, Sequence
from typing import Any

from healthcare_operator import kafka_version
from healthcare_operator.conditions import Seen, verdicts
from healthcare_operator.excerpt import excerpt
from healthcare_operator.platform import Manifest, Ref
from healthcare_operator.readiness import Verdict, ready
from healthcare_operator.service_values import PORTS


def components(seen: Seen) -> list[dict[str, Any]]:
    """Each component with its readiness: `{name, ready, message}`."""
    found = []
    for name, manifests in seen.wanted.items():
        judged = [(each, *_ready(seen, Ref.of(each))) for each in manifests if _counts(seen, each)]
        bad = [f"{each['kind']}/{each['metadata']['name']} {why}" for each, good, why in judged if not good]
        found.append({"name": name, "ready": not bad, **({"message": excerpt(bad[0])} if bad else {})})
    return found


def _ready(seen: Seen, ref: Ref) -> Verdict:
    if said := seen.unread.get((ref.api_version, ref.kind)):
        return False, said
    good, why = ready(seen.observed.get(ref))
    said = seen.refused.get(ref)
    return (False, f"its pods are refused: {said}") if said and not good else (good, why)


def _counts(seen: Seen, manifest: Manifest) -> bool:
    """What no definition serves is told by DependenciesReady; a monitor or a route is no part of a service's health."""
    return manifest["kind"] not in ("ServiceMonitor", "PodMonitor", "PrometheusRule", "HTTPRoute", "Ingress")


def status(seen: Seen, before: Mapping[str, Any], now: str) -> dict[str, Any]:
    """The status of a platform, given the one before; `now` is RFC 3339."""
    platform = seen.platform
    parts = components(seen)
    if seen.fault is not None or seen.cut_short or platform.spec.suspend:
        parts = list(before.get("components", []))
    held = {each["type"]: each for each in before.get("conditions", [])}
    told = verdicts(seen, parts)
    conditions = [_condition(held, *each, platform.generation, now) for each in told]
    if seen.cut_short:  # of what was not looked at, what was said before is all that is known
        conditions += [each for kind, each in held.items() if kind not in {name for name, *_ in told}]
    verdict = next(each for each in conditions if each["type"] == "Ready")
    good = sum(each["ready"] for each in parts)
    return {
        "observedGeneration": platform.generation,
        "phase": _phase(seen, conditions),
        "ready": f"{good}/{len(parts)}",
        "version": _version(seen, before, verdict["status"] == "True"),
        "conditions": conditions,
        "components": parts,
        "endpoints": {
            name: f"http://{platform.named(name)}.{platform.namespace}:{PORTS[name]}"
            for name in ("api-gateway", "auth-service")
            if platform.spec.services.get(name).enabled
        },
        "inventory": [
            {"apiVersion": ref.api_version, "kind": ref.kind, "name": ref.name} for ref in sorted(set(seen.inventory))
        ],
        "history": _history(seen, before, now),
    }


def _version(seen: Seen, before: Mapping[str, Any], is_ready: bool) -> dict[str, Any]:
    attempt, tag = seen.attempt, seen.platform.spec.images.tag
    running = attempt.good if attempt.failed else attempt.tried
    kafka = kafka_version.newest(kafka_version.told(before), seen.wanted.get("kafka", ()), seen.observed)
    tags = sorted({image.rpartition(":")[2] for image in running.values()})
    return {
        "current": ",".join(tags)[:63] if is_ready or attempt.failed else "",
        "target": tag,
        "images": dict(attempt.tried),
        "lastSuccessfulImages": dict(attempt.good),
        "failedImages": dict(attempt.failed),
        **({"failure": attempt.cause} if attempt.cause else {}),
        **({"kafka": kafka} if kafka else {}),
        "since": str(attempt.since),
    }


def _history(seen: Seen, before: Mapping[str, Any], now: str) -> list[dict[str, Any]]:
    past = list(before.get("history", []))
    held = before.get("version", {})
    if seen.attempt.failed and not held.get("failedImages"):
        past.append({"at": now, "event": "RolledBack", "tag": seen.platform.spec.images.tag})
    elif seen.attempt.good and seen.attempt.good != (held.get("lastSuccessfulImages") or {}):
        past.append({"at": now, "event": "Succeeded", "tag": seen.platform.spec.images.tag})
    return past[-10:]


def _condition(
    held: Mapping[str, Any], kind: str, good: bool, reason: str, message: str, generation: int, now: str
) -> dict[str, Any]:
    value = "True" if good else "False"
    same = held.get(kind, {}).get("status") == value
    return {
        "type": kind,
        "status": value,
        "reason": reason,
        "message": excerpt(message),
        "observedGeneration": generation,
        "lastTransitionTime": held[kind]["lastTransitionTime"] if same else now,
    }


def _phase(seen: Seen, conditions: Sequence[Mapping[str, Any]]) -> str:
    held = {each["type"]: each["status"] for each in conditions}
    if seen.fault is not None:
        return "Stalled"
    if seen.platform.spec.suspend:
        return "Suspended"
    if held.get("Degraded") == "True":
        return "Degraded"
    if held["Ready"] == "True":
        return "Ready"
    if seen.attempt.good and seen.attempt.good != seen.attempt.tried:
        return "Upgrading"
    return "Updating" if seen.attempt.good else "Installing"
