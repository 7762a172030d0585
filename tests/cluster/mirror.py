"""What the API server holds of some kinds, followed by watches, as a controller's cache is: nothing is asked in vain.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Iterable
from typing import Any

import httpx2 as httpx

from tests.cluster.api import Api, Manifest, Refused
from tests.cluster.controlplane import ControlPlane

AGAIN_SECONDS = 0.25


class Mirror:
    """A thread that follows; `changed` is set at every difference, and whoever reads clears it first."""

    def __init__(self, cluster: ControlPlane, api: Api, kinds: Iterable[str]) -> None:
        self.changed = threading.Event()
        self._cluster = cluster
        self._api = api
        self._found: dict[str, dict[str, Manifest]] = {kind: {} for kind in kinds}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="mirror", daemon=True)
        self._ready = threading.Event()

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(30)

    def all(self, kind: str) -> list[Manifest]:
        """Every object of a kind in all namespaces, as last heard of; none where the API server knows no such kind."""
        return list(self._found[kind].values())

    async def _run(self) -> None:
        trust = ssl.create_default_context(cafile=str(self._cluster.ca))
        bearer = {"Authorization": f"Bearer {self._cluster.token}"}
        self._loop, self._asking = asyncio.get_running_loop(), asyncio.Lock()
        async with httpx.AsyncClient(base_url=self._cluster.server, verify=trust, headers=bearer) as client:
            self._main = asyncio.gather(*(self._follow(client, kind) for kind in self._found))
            self._ready.set()
            with contextlib.suppress(asyncio.CancelledError):
                await self._main

    async def _follow(self, client: httpx.AsyncClient, kind: str) -> None:
        while True:
            try:
                async with self._asking:  # the other client is for one caller at a time
                    place = await asyncio.to_thread(self._api.place, kind)
                if place:
                    await self._watch(client, kind, "/".join(place))
            except (httpx.TransportError, Refused):
                pass  # the API server is away, or the version that was watched is no longer kept
            await asyncio.sleep(AGAIN_SECONDS)

    async def _watch(self, client: httpx.AsyncClient, kind: str, path: str) -> None:
        answer = await client.get(path)
        if answer.is_error:
            self._api.forget(kind)
            self._put(kind, {})
            return
        listed = answer.json()
        self._put(kind, {each["metadata"]["uid"]: each for each in listed["items"]})
        query = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]}
        async with client.stream("GET", path, params=query, timeout=httpx.Timeout(10, read=None)) as events:
            async for line in events.aiter_lines():
                if not self._heard(kind, json.loads(line)):
                    return

    def _heard(self, kind: str, event: dict[str, Any]) -> bool:
        """Whether the watch goes on."""
        if event["type"] == "ERROR" or "metadata" not in event["object"]:
            return False
        now = dict(self._found[kind])
        now.pop(event["object"]["metadata"]["uid"], None)
        if event["type"] != "DELETED":
            now[event["object"]["metadata"]["uid"]] = event["object"]
        self._put(kind, now)
        return True

    def _put(self, kind: str, now: dict[str, Manifest]) -> None:
        """Replaced as a whole: readers are other threads."""
        self._found[kind] = now
        self.changed.set()
