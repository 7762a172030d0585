"""Which platform is worked on, and whether its spec can work. Create, edit, drift, restart and resync all come here."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from healthcare_operator import kafka_version, metrics, observe, retained, sharing, validation
from healthcare_operator.api import Api
from healthcare_operator.apply import Memory
from healthcare_operator.conditions import Seen
from healthcare_operator.converge import WAITING_SECONDS, Converger, inventory
from healthcare_operator.crd import KIND
from healthcare_operator.desired import Desired
from healthcare_operator.errors import ApiError, NotServed
from healthcare_operator.helm import ChartError, Charts
from healthcare_operator.letting_go import LettingGo
from healthcare_operator.platform import API_VERSION, Manifest, Platform, Ref
from healthcare_operator.report import Report
from healthcare_operator.spec import Spec
from healthcare_operator.upgrade import Attempt, attempt
from healthcare_operator.workqueue import Key

GONE = -1.0


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
        self._resync = resync_seconds
        self._now = now
        self._memories: dict[Key, Memory] = {}
        self._unfinished: set[Key] = set()
        self._references: dict[Key, frozenset[str]] = {}
        self._desired = Desired(charts)
        self._neighbours = observe.Neighbours(api, within)
        self._report = Report(api)
        self._letting_go = LettingGo(api)
        self._converger = Converger(api, self._desired, self._report, resync_seconds, now)

    async def reconcile(self, key: Key) -> float:
        """One pass; seconds until the next one, GONE when the platform is.

        Raises:
            ApiError: the pass has to be made again.
            NotServed: the definition of the resource itself is gone.
        """
        with metrics.SECONDS.time():
            found = await self._api.get(Ref(API_VERSION, KIND, *key))
            if found is None or "deletionTimestamp" in found["metadata"]:
                self._forget(key)
                return await self._letting_go.after(key)
            try:
                again = await self._pass(key, found)
            except Exception as error:
                if isinstance(error, ApiError) and error.ending:
                    self._forget(key)  # what the namespace's deletion has taken already is not brought back
                    return await self._letting_go.after(key)
                metrics.PASSES.labels("failed").inc()
                raise
            self._unfinished.discard(key)
            return again

    async def warm(self, key: Key) -> float:
        """Renders a platform while another process leads, so that taking over takes no time for it; always GONE.

        Raises:
            ApiError, NotServed.
        """
        found = await self._api.get(Ref(API_VERSION, KIND, *key))
        if found is None:
            self._forget(key)
            return GONE
        with contextlib.suppress(ValidationError, ChartError):  # told by the one that leads
            platform = _platform(found)
            self._references[key] = frozenset(validation.referenced(platform))
            self._letting_go.note(platform)
            await self._desired.rendered(platform)
        return GONE

    def step_down(self) -> None:
        """Forgets what was applied: from now on another process applies."""
        self._memories.clear()

    def refers(self, namespace: str, secret: str) -> list[Key]:
        """The platforms whose spec names a Secret: what becomes of it concerns them."""
        return [key for key, names in self._references.items() if key[0] == namespace and secret in names]

    def _forget(self, key: Key) -> None:
        self._memories.pop(key, None)
        self._references.pop(key, None)
        self._unfinished.discard(key)
        self._desired.forget(key)
        self._neighbours.ledger.forget(key)
        self._report.forget(key)

    async def _pass(self, key: Key, found: Manifest) -> float:
        before = found.get("status") or {}
        try:
            platform = _platform(found)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            return await self._stall(found, _unread(found), f"spec.{where}: {error.errors()[0]['msg']}.")
        self._references[key] = frozenset(validation.referenced(platform))
        self._letting_go.note(platform)
        try:
            return await self._judged(key, found, platform, before)
        except Exception as error:
            ending = isinstance(error, ApiError) and error.ending
            if key in self._unfinished and not ending:  # twice in a row: it is no moment's trouble
                await self._report.tell(found, self._cut_short(platform, before, error), before)
            self._unfinished.add(key)
            raise

    async def _judged(self, key: Key, found: Manifest, platform: Platform, before: dict[str, Any]) -> float:
        given = await observe.referenced(self._api, platform)
        rival = await self._neighbours.rival(found, sharing.stores(platform, given))
        fault = validation.fault(platform, given) or rival
        if fault is None and not platform.spec.suspend:
            memory = self._memories.setdefault(key, Memory())
            try:
                return await self._converger.work(found, platform, before, memory)
            except (ChartError, kafka_version.GoneBack, retained.Unfit) as error:
                fault = f"{error}."
        await self._stall(found, platform, fault)
        return WAITING_SECONDS if rival else self._resync

    async def _stall(self, found: Manifest, platform: Platform, fault: str | None) -> float:
        """Tells that the spec cannot work, or is suspended, and leaves everything as it is."""
        before = found.get("status") or {}
        seen = Seen(
            platform,
            attempt=Attempt.read(before.get("version", {})),
            inventory=inventory(before, platform.namespace),
            fault=fault,
        )
        await self._report.tell(found, seen, before)
        return self._resync

    def _cut_short(self, platform: Platform, before: dict[str, Any], error: Exception) -> Seen:
        """What is told of a pass that could not be finished; the clock of an upgrade runs all the same."""
        held = Attempt.read(before.get("version", {}))
        _, standing = attempt(platform, held, self._now(), ready=True)
        kept = inventory(before, platform.namespace)
        why = (
            str(error)
            if isinstance(error, ApiError | NotServed)
            else f"a fault of the operator ({type(error).__name__})"
        )
        said = f"the platform could not be looked at or changed: {why}"
        return Seen(platform, attempt=standing, inventory=kept, errors=[said], cut_short=True)


def _platform(found: Manifest) -> Platform:
    """Raises ValidationError."""
    meta = found["metadata"]
    spec = Spec.model_validate(found.get("spec") or {})
    return Platform(meta["name"], meta["namespace"], meta["uid"], meta["generation"], spec)


def _unread(found: Manifest) -> Platform:
    """A platform whose spec cannot be read."""
    meta = found["metadata"]
    return Platform(meta["name"], meta["namespace"], meta["uid"], meta["generation"], Spec())
