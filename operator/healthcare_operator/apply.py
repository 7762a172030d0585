"""Carrying out: server-side apply by one field manager, without fighting over what another one applies."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from healthcare_operator.api import Api
from healthcare_operator.errors import ApiError, NotServed
from healthcare_operator.managed_fields import without
from healthcare_operator.metrics import APPLIES, CONFLICTS, CORRECTED, PRUNED
from healthcare_operator.patience import Patience
from healthcare_operator.plan import Applied, Apply, Plan, digest, project
from healthcare_operator.platform import MANAGER, PLATFORM, Manifest, Ref
from healthcare_operator.scale import hand_over

log = structlog.get_logger()

TAKEN_BACK = 3
WITHIN_SECONDS = 60.0


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

    What it applied, how often it took things back, when an object was refused last (monotonic seconds), and Secrets as
    they were: a deleted one comes back as it was.
    """

    applied: dict[Ref, Applied] = field(default_factory=dict)
    taken_back: dict[Ref, deque[float]] = field(default_factory=dict)
    refused: dict[Ref, float] = field(default_factory=dict)
    secrets: dict[str, Manifest] = field(default_factory=dict)

    def contested(self, ref: Ref) -> bool:
        """Whether somebody changes this object as fast as we do."""
        times = self.taken_back.get(ref, ())
        return sum(time.monotonic() - at < WITHIN_SECONDS for at in times) >= TAKEN_BACK

    def in_turn(self, applies: Sequence[Apply]) -> list[Apply]:
        """The steps with those last whose object was refused before, so that none waits behind a webhook that hangs."""
        return sorted(applies, key=lambda step: self.refused.get(Ref.of(step.manifest), 0.0))

    def noted(self, step: Apply, ref: Ref, live: Manifest) -> None:
        """An object was applied, with this result."""
        self.known(step.manifest, live)
        self.refused.pop(ref, None)
        changed = self.applied[ref].resource_version != step.version
        APPLIES.labels(ref.kind, "changed" if changed else "unchanged").inc()
        if step.edited:
            self.taken_back.setdefault(ref, deque(maxlen=TAKEN_BACK)).append(time.monotonic())
        if step.reason == "drift":
            CORRECTED.labels(ref.kind).inc()

    def known(self, manifest: Manifest, live: Manifest) -> None:
        """An object is as it should be now, whoever made it so."""
        self.applied[Ref.of(manifest)] = Applied(
            digest(manifest), digest(project(manifest, live)), live["metadata"]["resourceVersion"]
        )


@dataclass
class Outcome:
    """What came of a plan: objects as they are now, sentences about what failed and about fields that others hold."""

    live: dict[Ref, Manifest] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    pruned: set[Ref] = field(default_factory=set)

    def refused(self, what: object, error: Exception) -> None:
        """One object was, and no other for it.

        Raises:
            ApiError: nothing can be applied any more, since the namespace is being deleted.
        """
        if isinstance(error, ApiError) and error.ending:
            raise error
        log.info("an object is refused", object=str(what), said=str(error))
        self.errors.append(f"{what} is refused: {error}")


async def carry_out(api: Api, plan: Plan, memory: Memory) -> Outcome:
    """Applies in order; one object's failure is no other's. Prunes only when nothing failed.

    Raises:
        ApiError: the namespace is `ending`.
    """
    outcome, patience = Outcome(), Patience()
    for manifest, live in plan.settled:
        memory.known(manifest, live)
    for step in memory.in_turn(plan.applies):
        ref = Ref.of(step.manifest)
        if step.edited and memory.contested(ref):
            outcome.conflicts.append(f"{ref}, which it changes as fast as it is put back")
            CONFLICTS.labels(ref.kind).inc()
        elif patience.left(ref.kind):
            await _step(api, step, memory, outcome, patience)
    if patience.postponed:
        outcome.errors.append(f"{patience.postponed} objects more wait for the next pass: those refused took too long")
    if not outcome.errors:
        await _prune(api, plan.prunes, memory, outcome)
    return outcome


async def _step(api: Api, step: Apply, memory: Memory, outcome: Outcome, patience: Patience) -> None:
    ref, started = Ref.of(step.manifest), time.monotonic()
    try:
        live, held = await _apply(api, step)
    except (NotServed, Foreign) as error:
        outcome.errors.append(str(error))
    except ApiError as error:
        if step.guarded and error.status in (404, 409):
            return  # it changed since it was looked at, and that brings the next pass
        APPLIES.labels(ref.kind, "failed").inc()
        outcome.refused(ref, error)
        memory.refused[ref] = time.monotonic()
        patience.spend(ref.kind, time.monotonic() - started)
    else:
        outcome.live[ref] = live
        outcome.conflicts.extend(f"{ref} {path}" for path in held)
        memory.noted(step, ref, live)
        if held:  # asked again in each pass, so that it is noticed when the other one lets go
            del memory.applied[ref]
            CONFLICTS.labels(ref.kind).inc()


async def _prune(api: Api, prunes: Sequence[Ref], memory: Memory, outcome: Outcome) -> None:
    for ref in prunes:
        try:
            await api.delete(ref)
        except NotServed:
            pass  # its definition is gone, and it with that
        except ApiError as error:
            outcome.refused(f"the deletion of {ref}", error)
            continue
        memory.applied.pop(ref, None)
        PRUNED.labels(ref.kind).inc()
        outcome.pruned.add(ref)


async def _apply(api: Api, step: Apply) -> tuple[Manifest, list[str]]:
    """The object as it is now, and the fields that were left to managers who apply them.

    Raises:
        Foreign: it was not there as the platform's, and yet somebody holds its fields.
    """
    manifest = _guarded(step) if step.guarded else step.manifest
    if step.scales:
        await hand_over(api, step.manifest, step.scales)
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
    message = cause.get("message", "")
    return " using " not in message and f'"{MANAGER}' not in message
