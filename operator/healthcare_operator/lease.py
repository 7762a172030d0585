"""Leader election: one process works, the others wait (https://kubernetes.io/docs/concepts/architecture/leases/).

The holder writes the time into a Lease; who finds it older than its duration, by an own clock that saw no change, takes
it. Every write carries the resourceVersion that was read, so two cannot both win. The holder reckons from the moment
before it asked for the last renewal and stops a fifth before the end, so on a slow API server it stops before another
one begins.
"""

import asyncio
import math
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import structlog

from healthcare_operator.api import Api
from healthcare_operator.errors import ApiError, NotServed
from healthcare_operator.metrics import LEADER
from healthcare_operator.platform import MANAGER, Manifest, Ref

log = structlog.get_logger()

RENEWALS = 5
"""Renewals within one duration."""

MARGIN = 0.8
"""The part of a duration in which the holder works: what it sent at the end may still be under way in the rest."""


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
        self._held: Manifest | None = None
        self._ends = 0.0
        self._told = False

    def valid(self) -> bool:
        """Whether this process may still work; false from a fifth before the end of the lease on."""
        return time.monotonic() < self._ends

    async def acquire(self) -> None:
        """Waits until the lease is ours, whatever the API server says meanwhile."""
        while not await self._tried():  # noqa: ASYNC110 - what is waited for is in the API server
            await asyncio.sleep(self._seconds / RENEWALS)
        LEADER.set(1)
        log.info("leading", holder=self._holder)

    async def keep(self) -> None:
        """Renews it for ever.

        Raises:
            Lost: it could not be renewed before others may take it.
        """
        asked = time.monotonic()
        try:
            while self.valid():
                now = time.monotonic()  # one that took long is followed by the next at once
                await asyncio.sleep(max(0.0, min(asked + self._seconds / RENEWALS, self._ends) - now))
                asked = time.monotonic()
                if await self._tried() is False:
                    raise Lost
            raise Lost
        finally:
            LEADER.set(0)
            self._ends, self._held = 0.0, None

    async def release(self) -> None:
        """Lets the next one begin at once; only ours is released."""
        lease = await self._api.get(self._ref)
        if lease is not None and lease["spec"].get("holderIdentity") == self._holder:
            lease["spec"]["holderIdentity"] = ""
            await self._written(self._api.replace({**lease, "apiVersion": self._ref.api_version, "kind": "Lease"}))

    async def _tried(self) -> bool | None:
        """Whether the lease is ours, now written anew; None where the API server does not say so in time."""
        asked = time.monotonic()
        left = self._ends - asked
        try:
            async with asyncio.timeout(left if left > 0 else self._seconds):
                held = await self._renew()
        except (ApiError, NotServed, TimeoutError) as error:
            if not self._told:
                log.warning("lease not renewed", error=type(error).__name__, said=str(error))
            self._told = True
            return None
        self._told = False
        if held:
            self._ends = asked + self._seconds * MARGIN
        return held

    async def _renew(self) -> bool:
        """One request where nobody else wrote since the last one."""
        if self._held is not None and await self._write(self._held):
            return True
        self._held = None
        lease = await self._api.get(self._ref)
        if lease is None:
            meta = {"name": self._ref.name, "namespace": self._ref.namespace}
            return await self._create({"apiVersion": self._ref.api_version, "kind": "Lease", "metadata": meta})
        return await self._write(lease) if self._free(lease) else False

    def _free(self, lease: Manifest) -> bool:
        """Whether nobody else holds it, by an own clock."""
        if (lease["spec"].get("holderIdentity") or "") in ("", self._holder):
            return True
        version = lease["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, time.monotonic())
        return time.monotonic() - self._seen[1] >= float(lease["spec"].get("leaseDurationSeconds") or self._seconds)

    async def _create(self, lease: Manifest) -> bool:
        self._held = await self._written(self._api.create({**lease, "spec": self._spec()}))
        return self._held is not None

    async def _write(self, lease: Manifest) -> bool:
        spec = {**lease["spec"], **self._spec()}
        about = {"apiVersion": self._ref.api_version, "kind": "Lease"}
        self._held = await self._written(self._api.replace({**lease, **about, "spec": spec}))
        return self._held is not None

    async def _written(self, writing: Coroutine[Any, Any, Manifest]) -> Manifest | None:
        """The Lease as it is now; None where another one was faster."""
        try:
            return await writing
        except ApiError as error:
            if error.status == 409:
                return None
            raise

    def _spec(self) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": max(1, math.ceil(self._seconds)),
            "renewTime": now,
        }
