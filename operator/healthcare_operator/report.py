"""What became of a pass, told: the resource's status, Events, metrics and a line in the log."""

from datetime import UTC, datetime
from typing import Any

import structlog

from healthcare_operator import metrics
from healthcare_operator.api import Api
from healthcare_operator.conditions import Seen
from healthcare_operator.crd import KIND
from healthcare_operator.errors import ApiError
from healthcare_operator.events import Recorder
from healthcare_operator.platform import API_VERSION, Manifest
from healthcare_operator.status import status
from healthcare_operator.values import COMPONENTS
from healthcare_operator.workqueue import Key

log = structlog.get_logger()


class Report:
    """Tells of every platform; remembers the phase of each, which a metric counts."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._phases: dict[Key, str] = {}
        self._recorder = Recorder(api)

    async def tell(self, found: Manifest, seen: Seen, before: dict[str, Any]) -> str:
        """Writes the status where it changed, and says what changed; returns the phase.

        Raises:
            ApiError: the status cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        after = status(seen, before, now)
        if after != before:
            await self.write(found, after)
        await self._recorder.transitions(found, before, after)
        key = (seen.platform.namespace, seen.platform.name)
        for each in after["components"]:
            metrics.READY.labels(*key, each["name"]).set(each["ready"])
        phase: str = after["phase"]
        self._count(key, phase)
        if phase != before.get("phase"):
            log.info("phase changed", namespace=key[0], platform=key[1], phase=phase)
        changed = "changed" if seen.plan.applies or seen.plan.prunes else "unchanged"
        metrics.PASSES.labels("waiting" if seen.plan.waiting else changed).inc()
        return phase

    async def write(self, found: Manifest, told: dict[str, Any]) -> None:
        """Replaces the status; a resource that was deleted in the meantime needs none.

        Raises:
            ApiError: the API server does not take it.
        """
        meta = {"name": found["metadata"]["name"], "namespace": found["metadata"]["namespace"]}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "status": told}
        try:
            await self._api.apply(body, force=True, subresource="/status")
        except ApiError as error:
            if error.status != 404:
                raise

    def forget(self, key: Key) -> None:
        """The platform is gone."""
        self._count(key, None)
        for component in COMPONENTS:
            try:
                metrics.READY.remove(*key, component)
            except KeyError:
                continue

    def _count(self, key: Key, phase: str | None) -> None:
        before = self._phases.pop(key, None)
        if phase is not None:
            self._phases[key] = phase
        for each in {before, phase} - {None}:
            metrics.PLATFORMS.labels(each).set(sum(held == each for held in self._phases.values()))
