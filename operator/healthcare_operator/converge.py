"""From what is there to what a spec asks for, once: observe, plan, carry out, report."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from healthcare_operator import kafka_version, observe, retained
from healthcare_operator.api import Api
from healthcare_operator.apply import Memory, Outcome, carry_out
from healthcare_operator.claims import keep
from healthcare_operator.conditions import Seen
from healthcare_operator.desired import Desired, Wanted
from healthcare_operator.diagnosis import cause
from healthcare_operator.errors import ApiError
from healthcare_operator.notices import notices
from healthcare_operator.observe import Observed
from healthcare_operator.plan import Plan, plan
from healthcare_operator.platform import Manifest, Platform, Ref
from healthcare_operator.report import Report
from healthcare_operator.running import every, running, with_images
from healthcare_operator.upgrade import Attempt, attempt, settled

WAITING_SECONDS = 2.0


MOVING = ("Installing", "Upgrading")
DEPLOYMENT = ("apps/v1", "Deployment")


@dataclass(frozen=True, slots=True)
class _Pass:
    """What one pass did, before it is told."""

    platform: Platform
    wanted: Wanted
    observed: Observed
    steps: Plan
    outcome: Outcome
    known: set[Ref]


class Converger:
    """Brings one platform nearer to its spec with each call."""

    def __init__(self, api: Api, desired: Desired, report: Report, resync_seconds: float, now: Callable[[], float]):
        self._api = api
        self._desired = desired
        self._report = report
        self._resync = resync_seconds
        self._now = now

    async def work(self, found: Manifest, platform: Platform, before: dict[str, Any], memory: Memory) -> float:
        """One pass; seconds until the next one.

        Raises:
            ApiError: the pass could not be finished; what concerns one object alone is told in the status instead.
            ChartError, kafka_version.GoneBack, retained.Unfit: the spec cannot work.
        """
        kept = inventory(before, platform.namespace)
        made = await observe.own_secrets(self._api, platform)
        memory.secrets |= made
        wanted = await self._desired.of(platform, memory)
        kafka_version.check(kafka_version.told(before), wanted.get("kafka", ()))
        seen = await observe.objects(self._api, platform, [*map(Ref.of, every(wanted)), *kept], made.values())
        retained.check(wanted, seen.objects, kept)
        platform, standing = await self._attempt(platform, wanted, seen, before)
        if platform.instead:
            wanted = await self._desired.of(platform, memory)
        steps = plan(
            wanted,
            seen.objects,
            memory.applied,
            unserved=seen.unserved,
            unread=seen.unread,
            inventory=kept,
            correct_drift=platform.spec.drift_correction,
        )
        known = {*kept, *(Ref.of(each) for each in every(wanted) if not seen.unserved & {_kind(each)})}
        steps, unwritten = await self._remember(found, before, kept, known, steps)
        outcome = await carry_out(self._api, steps, memory)
        outcome.errors[:0] = [*unwritten, *seen.unread.values()]
        told = _Pass(platform, wanted, seen, steps, outcome, known)
        return await self._tell(found, before, standing, told)

    async def _attempt(
        self, platform: Platform, wanted: Wanted, seen: Observed, before: dict[str, Any]
    ) -> tuple[Platform, Attempt]:
        """The platform with the images that should run now, and where its upgrade stands."""
        held = Attempt.read(before.get("version", {}))
        good = running(wanted, seen.objects) and with_images(wanted, seen.objects)
        unknown = DEPLOYMENT in seen.unread  # what cannot be seen is no reason to take an upgrade back
        platform, standing = attempt(platform, held, self._now(), ready=good or unknown)
        if standing.failed and not held.failed:  # asked now: the return takes the pods away that could say it
            standing = replace(standing, cause=cause(await observe.pods(self._api, platform), standing.new))
        return platform, standing

    async def _remember(
        self, found: Manifest, before: dict[str, Any], kept: list[Ref], known: set[Ref], steps: Plan
    ) -> tuple[Plan, list[str]]:
        """The inventory, written before the first object is applied: a process that dies then forgets none of them.

        Where it cannot be written, the steps without those that would make an object, and why.
        """
        if known == set(kept):
            return steps, []
        try:
            await self._report.write(found, {**before, "inventory": listed(known)})
        except ApiError as error:
            if error.ending:
                raise
            own = [each for each in steps.applies if Ref.of(each.manifest) in kept]
            return replace(steps, applies=own), [f"the status cannot be written, so nothing new is made: {error}"]
        return steps, []

    async def _tell(self, found: Manifest, before: dict[str, Any], standing: Attempt, told: "_Pass") -> float:
        platform, outcome = told.platform, told.outcome
        observed = told.observed.objects
        needs = await keep(self._api, platform, told.wanted, observed, outcome)
        observed |= outcome.live
        live = [observed[ref] for ref in map(Ref.of, every(told.wanted)) if ref in observed]
        refused = await observe.refusals(self._api, platform, live)
        good = running(told.wanted, observed) and not told.steps.waiting and not outcome.errors
        seen = Seen(
            platform,
            told.wanted,
            observed,
            told.steps,
            settled(standing, ready=good),
            outcome.errors,
            outcome.conflicts,
            list(told.known - outcome.pruned),
            refused,
            unread=told.observed.unread,
            needs=[*notices(told.wanted, observed), *needs],
        )
        phase = await self._report.tell(found, seen, before)
        steps = told.steps
        moving = steps.applies or steps.waiting or outcome.errors or refused or phase in MOVING
        return WAITING_SECONDS if moving else self._resync


def inventory(told: dict[str, Any], namespace: str) -> list[Ref]:
    """The objects that a status names."""
    return [Ref(each["apiVersion"], each["kind"], namespace, each["name"]) for each in told.get("inventory", [])]


def listed(known: Iterable[Ref]) -> list[dict[str, str]]:
    """The same as a status has them."""
    return [{"apiVersion": ref.api_version, "kind": ref.kind, "name": ref.name} for ref in sorted(known)]


def _kind(manifest: Manifest) -> tuple[str, str]:
    return manifest["apiVersion"], manifest["kind"]
