"""One pass over one platform: observe, plan, carry out, tell. Create, edit, drift, restart and resync all come here."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from healthcare_operator import kafka_version, metrics, observe, secrets, sharing, validation
from healthcare_operator.api import Api
from healthcare_operator.apply import Memory, carry_out
from healthcare_operator.claims import CLAIM, own
from healthcare_operator.conditions import Seen
from healthcare_operator.crd import KIND
from healthcare_operator.diagnosis import cause
from healthcare_operator.errors import ApiError
from healthcare_operator.helm import ChartError, Charts
from healthcare_operator.plan import digest, plan
from healthcare_operator.platform import API_VERSION, Manifest, Platform, Ref
from healthcare_operator.readiness import ready
from healthcare_operator.render import CREDENTIALS, components
from healthcare_operator.report import Report
from healthcare_operator.rotation import stamped
from healthcare_operator.spec import SERVICES, Spec
from healthcare_operator.upgrade import Attempt, attempt, settled
from healthcare_operator.workqueue import Key

WAITING_SECONDS = 2.0
GONE = -1.0

Wanted = dict[str, list[Manifest]]


class Reconciler:
    """Works on platforms; remembers of each only what makes a pass without change cheap."""

    def __init__(
        self,
        api: Api,
        charts: Charts,
        resync_seconds: float,
        now: Callable[[], float] = time.time,
        within: str | None = None,
    ) -> None:
        self._api = api
        self._charts = charts
        self._resync = resync_seconds
        self._now = now
        self._memories: dict[Key, Memory] = {}
        self._rendered: dict[Key, tuple[str, Wanted]] = {}
        self._references: dict[Key, frozenset[str]] = {}
        self._neighbours = observe.Neighbours(api, within)
        self._report = Report(api)

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
        self._references.pop(key, None)
        self._neighbours.ledger.forget(key)
        self._report.forget(key)
        return GONE

    def refers(self, namespace: str, secret: str) -> list[Key]:
        """The platforms whose spec names a Secret: what becomes of it concerns them."""
        return [key for key, names in self._references.items() if key[0] == namespace and secret in names]

    async def _pass(self, key: Key, found: Manifest) -> float:
        meta, before = found["metadata"], found.get("status") or {}
        kept, held = _inventory(before, key[0]), Attempt.read(before.get("version", {}))
        try:
            spec = Spec.model_validate(found.get("spec") or {})
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            nothing = Platform(key[1], key[0], meta["uid"], meta["generation"], Spec())
            said = f"spec.{where}: {error.errors()[0]['msg']}."
            await self._report.tell(found, Seen(nothing, attempt=held, inventory=kept, fault=said), before)
            return self._resync
        platform = Platform(key[1], key[0], meta["uid"], meta["generation"], spec)
        self._references[key] = frozenset(validation.referenced(platform))
        given = await observe.referenced(self._api, platform)
        rival = await self._neighbours.rival(found, sharing.stores(platform, given))
        fault = validation.fault(platform, given) or rival
        if fault is None and not spec.suspend:
            try:
                return await self._work(found, platform, before)
            except (ChartError, kafka_version.GoneBack) as error:
                fault = f"{error}."
        await self._report.tell(found, Seen(platform, attempt=held, inventory=kept, fault=fault), before)
        return WAITING_SECONDS if rival else self._resync

    async def _work(self, found: Manifest, platform: Platform, before: dict[str, Any]) -> float:
        kept = _inventory(before, platform.namespace)
        memory = self._memories.setdefault((platform.namespace, platform.name), Memory())
        made = await observe.own_secrets(self._api, platform)
        memory.secrets |= made
        wanted = await self._wanted(platform, memory)
        kafka_version.check(kafka_version.told(before), wanted.get("kafka", ()))
        of_interest = [*map(Ref.of, _all(wanted)), *kept]
        observed, unserved = await observe.objects(self._api, platform, of_interest, made.values())
        running = _run(wanted, observed) and _images(wanted, observed)
        held = Attempt.read(before.get("version", {}))
        platform, standing = attempt(platform, held, self._now(), ready=running)
        if standing.failed and not held.failed:  # asked now: the return takes the pods away that could say it
            standing = replace(standing, cause=cause(await observe.pods(self._api, platform), standing.new))
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
            await self._report.write(found, {**before, "inventory": _listed(inventory)})
        outcome = await carry_out(self._api, steps, memory)
        await own(self._api, platform, (each for ref, each in observed.items() if (ref.api_version, ref.kind) == CLAIM))
        observed |= outcome.live
        pruned = set(steps.prunes) if not outcome.errors else set()
        live = [observed[ref] for ref in map(Ref.of, _all(wanted)) if ref in observed]
        refused = await observe.refusals(self._api, platform, live)
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
            refused,
        )
        phase = await self._report.tell(found, seen, before)
        moving = steps.applies or steps.waiting or outcome.errors or refused or phase in ("Installing", "Upgrading")
        return WAITING_SECONDS if moving else self._resync

    async def _wanted(self, platform: Platform, memory: Memory) -> Wanted:
        """Rendering costs more than the rest of a pass, so what a spec leads to is kept until the spec changes."""
        key = (platform.namespace, platform.name)
        of = digest([platform.spec.model_dump(), platform.uid, dict(platform.instead)])
        if key not in self._rendered or self._rendered[key][0] != of:
            rendered = await asyncio.to_thread(components, platform, self._charts)
            self._rendered[key] = (of, rendered)
        made = secrets.manifests(platform, memory.secrets)
        return {CREDENTIALS: made, **stamped(self._rendered[key][1], made)}


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
