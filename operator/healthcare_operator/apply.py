"""Carrying out: server-side apply by one field manager, without fighting over what another one applies."""

import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from healthcare_operator.api import Api
from healthcare_operator.errors import ApiError, NotServed
from healthcare_operator.metrics import APPLIES, CONFLICTS, CORRECTED, PRUNED
from healthcare_operator.plan import Applied, Apply, Plan, digest, project
from healthcare_operator.platform import PLATFORM, Manifest, Ref

TAKEN_BACK = 3
WITHIN_SECONDS = 60.0

_PART = re.compile(r"\.([^.\[]+)|\[([^\]]+)\]")


class Foreign(Exception):
    """An object of this name is there and is not the platform's: it is left alone."""

    def __init__(self, manifest: Manifest) -> None:
        label = f"{PLATFORM}={manifest['metadata']['labels'][PLATFORM]}"
        super().__init__(
            f"{Ref.of(manifest)} is there already and is not the platform's:"
            f" delete it, or hand it over by the label {label}"
        )


@dataclass
class Memory:
    """What this process knows of one platform beyond the API server.

    What it applied, how often it took things back, and Secrets as they were: a deleted one comes back as it was.
    """

    applied: dict[Ref, Applied] = field(default_factory=dict)
    taken_back: dict[Ref, deque[float]] = field(default_factory=dict)
    secrets: dict[str, Manifest] = field(default_factory=dict)

    def contested(self, ref: Ref) -> bool:
        """Whether somebody changes this object as fast as we do."""
        times = self.taken_back.get(ref, ())
        return sum(time.monotonic() - at < WITHIN_SECONDS for at in times) >= TAKEN_BACK

    def noted(self, step: Apply, ref: Ref, live: Manifest) -> None:
        """An object was applied, with this result."""
        known = Applied(
            digest(step.manifest), digest(project(step.manifest, live)), live["metadata"]["resourceVersion"]
        )
        self.applied[ref] = known
        changed = known.resource_version != step.version
        APPLIES.labels(ref.kind, "changed" if changed else "unchanged").inc()
        if step.edited:
            self.taken_back.setdefault(ref, deque(maxlen=TAKEN_BACK)).append(time.monotonic())
        if step.reason == "drift":
            CORRECTED.labels(ref.kind).inc()


@dataclass
class Outcome:
    """What came of a plan: objects as they are now, sentences about what failed and about fields that others hold."""

    live: dict[Ref, Manifest] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    def refused(self, step: Apply, ref: Ref, error: ApiError) -> None:
        """One object was; raises `error` where no other would fare better."""
        if error.concerns_all:
            raise error
        if step.guarded and error.status in (404, 409):
            return  # it changed since it was looked at, and that brings the next pass
        APPLIES.labels(ref.kind, "failed").inc()
        self.errors.append(f"{ref} is refused: {error}"[:500])


async def carry_out(api: Api, plan: Plan, memory: Memory) -> Outcome:
    """Applies in order; one object's failure fails no other. Prunes only when nothing failed.

    Raises:
        ApiError: the API server does not work, or the namespace is `ending`.
    """
    outcome = Outcome()
    for step in plan.applies:
        ref = Ref.of(step.manifest)
        if step.edited and memory.contested(ref):
            outcome.conflicts.append(f"{ref}, which it changes as fast as it is put back")
            CONFLICTS.labels(ref.kind).inc()
            continue
        try:
            live, held = await _apply(api, step)
        except (NotServed, Foreign) as error:
            outcome.errors.append(str(error))
        except ApiError as error:
            outcome.refused(step, ref, error)
        else:
            outcome.live[ref] = live
            outcome.conflicts.extend(f"{ref} {path}" for path in held)
            memory.noted(step, ref, live)
            if held:  # asked again in each pass, so that it is noticed when the other one lets go
                del memory.applied[ref]
                CONFLICTS.labels(ref.kind).inc()
    if not outcome.errors:
        for ref in plan.prunes:
            await api.delete(ref)
            memory.applied.pop(ref, None)
            PRUNED.labels(ref.kind).inc()
    return outcome


async def _apply(api: Api, step: Apply) -> tuple[Manifest, list[str]]:
    """The object as it is now, and the fields that were left to managers who apply them.

    Raises:
        Foreign: it was not there as the platform's, and yet somebody holds its fields.
    """
    manifest = _guarded(step) if step.guarded else step.manifest
    try:
        return await api.apply(manifest, force=False), []
    except ApiError as error:
        if error.status != 409 or not error.causes:
            raise
        if step.reason == "create":
            raise Foreign(manifest) from None
        held = [each["field"] for each in error.causes if _applies(each)]
    # What was changed by an update is taken back; what somebody else applies is theirs.
    return await api.apply(without(manifest, held), force=True), held


def _guarded(step: Apply) -> Manifest:
    """Applied only to what was looked at: the password that a person puts there at this moment is not undone."""
    return {**step.manifest, "metadata": {**step.manifest["metadata"], "resourceVersion": step.version}}


def _applies(cause: Mapping[str, str]) -> bool:
    """The API server writes `conflict with "kubectl" using apps/v1` of an update and leaves `using` out of an apply."""
    return " using " not in cause.get("message", "")


def without(manifest: Manifest, paths: Sequence[str]) -> Manifest:
    """The manifest less these fields, named as in a conflict: `.spec.template.spec.containers[name="x"].image`."""
    cut = deepcopy(manifest)
    for path in paths:
        _remove(cut, [(plain, keys) for plain, keys in _PART.findall(path)])
    return cut


def _remove(node: object, parts: Sequence[tuple[str, str]]) -> None:
    for plain, keys in parts[:-1]:
        if plain and isinstance(node, dict):
            node = node.get(plain)
        elif isinstance(node, list):
            node = next((each for each in node if _matches(each, keys)), None)
    plain, keys = parts[-1]
    if plain and isinstance(node, dict):
        node.pop(plain, None)
    elif isinstance(node, list):
        node[:] = [each for each in node if not _matches(each, keys)]


def _matches(item: object, keys: str) -> bool:
    wanted = dict(re.findall(r'([^=,]+)="?([^",]*)"?', keys))
    return isinstance(item, dict) and all(str(item.get(key)) == value for key, value in wanted.items())
