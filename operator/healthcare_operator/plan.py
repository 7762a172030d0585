"""What has to be done: a pure function of what is wanted, what is there, and what was applied before."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from healthcare_operator.managed_fields import left_to_others, settled
from healthcare_operator.platform import Manifest, Ref
from healthcare_operator.readiness import ready
from healthcare_operator.render import DATA
from healthcare_operator.spec import SERVICES
from healthcare_operator.values import INFRASTRUCTURE

Reason = Literal["create", "adopt", "change", "drift"]


@dataclass(frozen=True, slots=True)
class Applied:
    """What was applied last: digests of the manifest and of what became of its fields, and the object's version."""

    wanted: str
    projected: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class Apply:
    """One object to apply, and why; `version` is the resourceVersion that it has now."""

    component: str
    manifest: Manifest
    reason: Reason
    version: str = ""
    scales: int | None = None
    """The number of pods, where it is left to an autoscaler from now on."""

    @property
    def edited(self) -> bool:
        """Whether somebody changed the object; what is deleted has no version, and comes back however often."""
        return self.reason == "drift" and bool(self.version)

    @property
    def guarded(self) -> bool:
        """Whether it holds what was read from the object itself, and so must not outlive a change of it."""
        return self.manifest["kind"] == "Secret" and bool(self.version)


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order. `missing` are the kinds that no definition serves, `waiting` what has to be ready first.

    `settled` are the objects (wanted, live) that another process, or this one before, has left as they should be.
    """

    applies: list[Apply] = field(default_factory=list)
    prunes: list[Ref] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    drifted: list[Ref] = field(default_factory=list)
    settled: list[tuple[Manifest, Manifest]] = field(default_factory=list)


def plan(
    wanted: Mapping[str, Sequence[Manifest]],
    observed: Mapping[Ref, Manifest],
    applied: Mapping[Ref, Applied],
    *,
    unserved: frozenset[tuple[str, str]] = frozenset(),
    unread: Collection[tuple[str, str]] = (),
    inventory: Sequence[Ref] = (),
    correct_drift: bool = True,
) -> Plan:
    """The steps from what is there to what is wanted; objects of kinds that are `unread` are left as they are.

    A service that is not there yet waits until Kafka, PostgreSQL and Redis are ready; one that is there is changed at
    once. Objects that were wanted before and no longer are, are pruned, except those that hold data.
    """
    made = Plan()
    waiting = _unready(wanted, observed, unserved)
    for component, manifests in wanted.items():
        if component in SERVICES and waiting and not _there(manifests, observed):
            made.waiting.extend(each for each in waiting if each not in made.waiting)
            continue
        for manifest in manifests:
            kind = (manifest["apiVersion"], manifest["kind"])
            if kind in unserved:
                if kind not in made.missing:
                    made.missing.append(kind)
            elif kind not in unread:
                _step(made, component, manifest, observed, applied, correct_drift=correct_drift)
    made.prunes.extend(_superfluous(wanted, observed, inventory))
    return made


def _step(
    made: Plan,
    component: str,
    manifest: Manifest,
    observed: Mapping[Ref, Manifest],
    applied: Mapping[Ref, Applied],
    *,
    correct_drift: bool,
) -> None:
    """What one object needs, if anything."""
    ref = Ref.of(manifest)
    live = observed.get(ref)
    reason = _reason(manifest, live, applied.get(ref))
    if reason == "drift":
        made.drifted.append(ref)
    if reason and (reason != "drift" or correct_drift):
        scales = left_to_others(manifest, live) if live else None
        made.applies.append(Apply(component, manifest, reason, _version(live), scales))
    elif live and ref not in applied:
        made.settled.append((manifest, live))


def _version(live: Manifest | None) -> str:
    return str(live["metadata"]["resourceVersion"]) if live else ""


def _reason(manifest: Manifest, live: Manifest | None, before: Applied | None) -> Reason | None:
    if live is None:
        return "drift" if before else "create"
    if before is None:
        return None if settled(manifest, live) else "adopt"
    if before.wanted != digest(manifest):
        return "change"
    if live["metadata"]["resourceVersion"] == before.resource_version:
        return None
    return None if digest(project(manifest, live)) == before.projected else "drift"


def _there(manifests: Sequence[Manifest], observed: Mapping[Ref, Manifest]) -> bool:
    return any(each["kind"] == "Deployment" and Ref.of(each) in observed for each in manifests)


def _unready(
    wanted: Mapping[str, Sequence[Manifest]], observed: Mapping[Ref, Manifest], unserved: frozenset[tuple[str, str]]
) -> list[str]:
    found = []
    for component in INFRASTRUCTURE:
        for manifest in wanted.get(component, ()):
            watching = manifest["kind"] in ("PodMonitor", "ServiceMonitor")
            if not watching and not ready(observed.get(Ref.of(manifest)))[0]:
                found.append(component)
                break
    return found


def _superfluous(
    wanted: Mapping[str, Sequence[Manifest]], observed: Mapping[Ref, Manifest], inventory: Sequence[Ref]
) -> list[Ref]:
    keep = {Ref.of(each) for manifests in wanted.values() for each in manifests}
    return [ref for ref in inventory if ref not in keep and ref in observed and ref.kind not in DATA]


def digest(value: Any) -> str:
    """The same for the same content."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def project(wanted: Any, live: Any) -> Any:
    """What has become of the fields of a manifest: `live`, cut to the fields that `wanted` speaks of.

    Defaults that the API server adds and fields of other managers fall away; its own way of writing a value (say,
    a quantity) stays, so that two projections compare where a manifest and an object would not.
    """
    if isinstance(wanted, dict) and isinstance(live, dict):
        return {key: project(value, live.get(key)) for key, value in wanted.items()}
    if isinstance(wanted, list) and isinstance(live, list) and wanted and isinstance(wanted[0], dict):
        key = next((each for each in ("name", "type", "containerPort", "port", "key") if each in wanted[0]), None)
        if key and all(isinstance(each, dict) and key in each for each in (*wanted, *live)):
            by_key = {each[key]: each for each in live}
            return [project(each, by_key.get(each[key])) for each in wanted]
        return [project(each, other) for each, other in zip(wanted, live, strict=False)] + [len(live) >= len(wanted)]
    return live
