"""One pass over one platform: observe, plan, carry out, tell. Create, edit, drift, restart and resync all come here."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import ValidationError

from healthcare_operator import metrics, secrets, validation
from healthcare_operator.api import Api, ApiError, NotServed
from healthcare_operator.apply import Memory, Outcome, carry_out
from healthcare_operator.claims import CLAIM, own
from healthcare_operator.crd import KIND
from healthcare_operator.diagnosis import cause
from healthcare_operator.events import Recorder
from healthcare_operator.helm import ChartError, Charts
from healthcare_operator.plan import Plan, digest, plan
from healthcare_operator.platform import API_VERSION, PLATFORM, Manifest, Platform, Ref
from healthcare_operator.readiness import ready
from healthcare_operator.render import components
from healthcare_operator.spec import SERVICES, Spec
from healthcare_operator.status import Seen, status
from healthcare_operator.upgrade import Attempt, attempt, settled
from healthcare_operator.values import COMPONENTS
from healthcare_operator.workqueue import Key

log = structlog.get_logger()

WAITING_SECONDS = 2.0
GONE = -1.0

Wanted = dict[str, list[Manifest]]


class Reconciler:
    """Works on platforms; remembers of each only what makes a pass without change cheap."""

    def __init__(self, api: Api, charts: Charts, resync_seconds: float, now: Callable[[], float] = time.time) -> None:
        self._api = api
        self._charts = charts
        self._resync = resync_seconds
        self._now = now
        self._memories: dict[Key, Memory] = {}
        self._rendered: dict[Key, tuple[str, Wanted]] = {}
        self._phases: dict[Key, str] = {}
        self._recorder = Recorder(api)

    async def reconcile(self, key: Key) -> float:
        """One pass; seconds until the next one, GONE when the platform is.

        Raises:
            ApiError: the API server does not work; the pass has to be made again.
        """
        with metrics.SECONDS.time():
            found = await self._api.get(Ref(API_VERSION, KIND, *key))
            if found is None or "deletionTimestamp" in found["metadata"]:
                return self._forget(key)
            try:
                return await self._pass(key, found)
            except Exception as error:
                if isinstance(error, ApiError) and error.ending:
                    return self._forget(key)  # what the namespace's deletion has taken already is not brought back
                metrics.PASSES.labels("failed").inc()
                raise

    def _forget(self, key: Key) -> float:
        self._memories.pop(key, None)
        self._rendered.pop(key, None)
        self._phase(key, None)
        for component in COMPONENTS:
            try:
                metrics.READY.remove(*key, component)
            except KeyError:
                continue
        return GONE

    async def _pass(self, key: Key, found: Manifest) -> float:
        meta, before = found["metadata"], found.get("status") or {}
        kept, held = _inventory(before, key[0]), Attempt.read(before.get("version", {}))
        try:
            spec = Spec.model_validate(found.get("spec") or {})
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            nothing = Platform(key[1], key[0], meta["uid"], meta["generation"], Spec())
            said = f"spec.{where}: {error.errors()[0]['msg']}."
            return await self._tell(found, Seen(nothing, attempt=held, inventory=kept, fault=said), before)
        platform = Platform(key[1], key[0], meta["uid"], meta["generation"], spec)
        fault = validation.fault(platform, await self._secrets(platform))
        if fault is None and not spec.suspend:
            try:
                return await self._work(found, platform, before)
            except ChartError as error:
                fault = f"{error}."
        return await self._tell(found, Seen(platform, attempt=held, inventory=kept, fault=fault), before)

    async def _work(self, found: Manifest, platform: Platform, before: dict[str, Any]) -> float:
        kept = _inventory(before, platform.namespace)
        memory = self._memories.setdefault((platform.namespace, platform.name), Memory())
        wanted = await self._wanted(platform, memory)
        observed, unserved = await self._observe(platform, wanted, kept)
        running = _run(wanted, observed) and _images(wanted, observed)
        held = Attempt.read(before.get("version", {}))
        platform, standing = attempt(platform, held, self._now(), ready=running)
        if standing.failed and not held.failed:  # asked now: the return takes the pods away that could say it
            standing = replace(standing, cause=await self._cause(platform, standing))
        if platform.instead:
            wanted = await self._wanted(platform, memory)
        steps = plan(
            wanted,
            observed,
            memory.applied,
            unserved=unserved,
            inventory=kept,
            correct_drift=platform.spec.drift_correction,
        )
        served = [each for each in _all(wanted) if (each["apiVersion"], each["kind"]) not in unserved]
        inventory = {*kept, *map(Ref.of, served)}
        if inventory != set(kept):
            # Before the first object is applied, so that a process that dies in between forgets none of them.
            await self._write(found, {**before, "inventory": _listed(inventory)})
        outcome = await carry_out(self._api, steps, memory)
        await own(self._api, platform, (each for ref, each in observed.items() if (ref.api_version, ref.kind) == CLAIM))
        observed |= outcome.live
        pruned = set(steps.prunes) if not outcome.errors else set()
        good = _run(wanted, observed) and not steps.waiting and not outcome.errors
        seen = Seen(
            platform,
            wanted,
            observed,
            steps,
            settled(standing, ready=good),
            outcome.errors,
            outcome.conflicts,
            list(inventory - pruned),
        )
        return await self._tell(found, seen, before, outcome, steps)

    async def _wanted(self, platform: Platform, memory: Memory) -> Wanted:
        """Rendering costs more than the rest of a pass, so what a spec leads to is kept until the spec changes."""
        key = (platform.namespace, platform.name)
        of = digest([platform.spec.model_dump(), platform.uid, dict(platform.instead)])
        if key not in self._rendered or self._rendered[key][0] != of:
            rendered = await asyncio.to_thread(components, platform, self._charts)
            self._rendered[key] = (of, rendered)
        memory.secrets |= await self._own_secrets(platform)
        made = secrets.manifests(platform, memory.secrets)
        return {"secrets": made, **self._rendered[key][1]}

    async def _cause(self, platform: Platform, standing: Attempt) -> str:
        pods = await self._api.list("v1", "Pod", platform.namespace, f"{PLATFORM}={platform.name}")
        return cause(pods, standing.new)

    async def _own_secrets(self, platform: Platform) -> dict[str, Manifest]:
        found = await self._api.list("v1", "Secret", platform.namespace, f"{PLATFORM}={platform.name}")
        return {each["metadata"]["name"]: each for each in found}

    async def _secrets(self, platform: Platform) -> dict[str, Manifest]:
        found = {}
        for name in validation.referenced(platform):
            secret = await self._api.get(Ref("v1", "Secret", platform.namespace, name))
            if secret is not None:
                found[name] = secret
        return found

    async def _observe(
        self, platform: Platform, wanted: Wanted, kept: Iterable[Ref]
    ) -> tuple[dict[Ref, Manifest], frozenset[tuple[str, str]]]:
        """Everything that carries the platform's label, by one list of each kind; and the kinds that nobody serves."""
        kinds = {CLAIM, *((each["apiVersion"], each["kind"]) for each in _all(wanted))}
        kinds |= {(ref.api_version, ref.kind) for ref in kept}
        selector = f"{PLATFORM}={platform.name}"

        async def listed(api_version: str, kind: str) -> list[Manifest] | None:
            try:
                return await self._api.list(api_version, kind, platform.namespace, selector)
            except NotServed:
                return None

        ordered = sorted(kinds)
        answers = await asyncio.gather(*(listed(*each) for each in ordered))
        observed = {Ref.of(each): each for answer in answers for each in answer or []}
        return observed, frozenset(each for each, answer in zip(ordered, answers, strict=True) if answer is None)

    async def _tell(
        self,
        found: Manifest,
        seen: Seen,
        before: dict[str, Any],
        outcome: Outcome | None = None,
        steps: Plan | None = None,
    ) -> float:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        after = status(seen, before, now)
        if after != {**before}:
            await self._write(found, after)
        await self._recorder.transitions(found, before, after)
        for each in after["components"]:
            metrics.READY.labels(seen.platform.namespace, seen.platform.name, each["name"]).set(each["ready"])
        phase = after["phase"]
        self._phase((seen.platform.namespace, seen.platform.name), phase)
        if phase != before.get("phase"):
            log.info("phase changed", namespace=seen.platform.namespace, platform=seen.platform.name, phase=phase)
        result = "unchanged"
        if steps is not None and (steps.waiting or steps.applies or steps.prunes):
            result = "waiting" if steps.waiting else "changed"
        metrics.PASSES.labels(result).inc()
        moving = steps is not None and (steps.applies or steps.waiting)
        busy = phase in ("Installing", "Upgrading", "Pending") or moving or (outcome is not None and outcome.errors)
        return WAITING_SECONDS if busy else self._resync

    def _phase(self, key: Key, phase: str | None) -> None:
        before = self._phases.pop(key, None)
        if phase is not None:
            self._phases[key] = phase
        for each in {before, phase} - {None}:
            metrics.PLATFORMS.labels(each).set(sum(held == each for held in self._phases.values()))

    async def _write(self, found: Manifest, told: dict[str, Any]) -> None:
        meta = {"name": found["metadata"]["name"], "namespace": found["metadata"]["namespace"]}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "status": told}
        try:
            await self._api.apply(body, force=True, subresource="/status")
        except ApiError as error:
            if error.status != 404:  # deleted in the meantime
                raise


def _all(wanted: Wanted) -> Iterable[Manifest]:
    return (each for manifests in wanted.values() for each in manifests)


def _deployments(wanted: Wanted) -> list[Manifest]:
    return [each for service in SERVICES for each in wanted.get(service, []) if each["kind"] == "Deployment"]


def _images(wanted: Wanted, observed: dict[Ref, Manifest]) -> bool:
    def image(manifest: Manifest) -> str:
        return str(manifest["spec"]["template"]["spec"]["containers"][0]["image"])

    found = [(each, observed.get(Ref.of(each))) for each in _deployments(wanted)]
    return all(live is not None and image(live) == image(each) for each, live in found)


def _run(wanted: Wanted, observed: dict[Ref, Manifest]) -> bool:
    return all(ready(observed.get(Ref.of(each)))[0] for each in _deployments(wanted))


def _inventory(told: dict[str, Any], namespace: str) -> list[Ref]:
    return [Ref(each["apiVersion"], each["kind"], namespace, each["name"]) for each in told.get("inventory", [])]


def _listed(inventory: Iterable[Ref]) -> list[dict[str, str]]:
    return [{"apiVersion": ref.api_version, "kind": ref.kind, "name": ref.name} for ref in sorted(inventory)]
