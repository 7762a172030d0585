"""Leader election: one process works, the others wait (https://kubernetes.io/docs/concepts/architecture/leases/).

The holder writes the time into a Lease; who finds it older than its duration, by an own clock that saw no change, takes
it. Every write carries the resourceVersion that was read, so two cannot both win.
"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import structlog

from healthcare_operator.api import Api
from healthcare_operator.errors import ApiError
from healthcare_operator.metrics import LEADER
from healthcare_operator.platform import MANAGER, Manifest, Ref

log = structlog.get_logger()


class Lost(Exception):
    """Another process leads, or the API server could not be reached in time: this one must stop working."""


class Lease:
    """`acquire` returns when this process leads; `keep` raises Lost when it no longer does."""

    def __init__(self, api: Api, namespace: str, holder: str, seconds: float) -> None:
        self._api = api
        self._ref = Ref("coordination.k8s.io/v1", "Lease", namespace, MANAGER)
        self._holder = holder
        self._seconds = seconds
        self._seen: tuple[str, float] = ("", 0.0)

    async def acquire(self) -> None:
        """Waits until the lease is ours."""
        while not await self._try():  # noqa: ASYNC110 - what is waited for is in the API server
            await asyncio.sleep(self._seconds / 5)
        LEADER.set(1)
        log.info("leading", holder=self._holder)

    async def keep(self) -> None:
        """Renews it for ever.

        Raises:
            Lost: it could not be renewed before others may take it.
        """
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(self._seconds / 5)
            try:
                held = await self._try()
            except Exception as error:
                log.warning("lease not renewed", error=type(error).__name__)
                if time.monotonic() - renewed > self._seconds * 0.8:
                    LEADER.set(0)
                    raise Lost from None
                continue
            if not held:
                LEADER.set(0)
                raise Lost
            renewed = time.monotonic()

    async def release(self) -> None:
        """Lets the next one begin at once; only ours is released."""
        lease = await self._api.get(self._ref)
        if lease is not None and lease["spec"].get("holderIdentity") == self._holder:
            lease["spec"]["holderIdentity"] = ""
            await self._write(lease)

    async def _try(self) -> bool:
        lease = await self._api.get(self._ref)
        if lease is None:
            return await self._create()
        holder = lease["spec"].get("holderIdentity") or ""
        version = lease["metadata"]["resourceVersion"]
        if holder not in ("", self._holder):
            if self._seen[0] != version:
                self._seen = (version, time.monotonic())
            if time.monotonic() - self._seen[1] < float(lease["spec"].get("leaseDurationSeconds") or self._seconds):
                return False
        lease["spec"] |= self._spec()
        return await self._write(lease)

    async def _create(self) -> bool:
        meta = {"name": self._ref.name, "namespace": self._ref.namespace}
        return await self._attempt(
            self._api.create(
                {"apiVersion": self._ref.api_version, "kind": "Lease", "metadata": meta, "spec": self._spec()}
            )
        )

    async def _write(self, lease: Manifest) -> bool:
        return await self._attempt(self._api.replace({**lease, "apiVersion": self._ref.api_version, "kind": "Lease"}))

    async def _attempt(self, writing: Any) -> bool:
        try:
            await writing
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        return True

    def _spec(self) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {"holderIdentity": self._holder, "leaseDurationSeconds": max(1, round(self._seconds)), "renewTime": now}
