"""Since when a service, or a part of one, is ill.

Every ten seconds all are asked for /actuator/health, which takes no token, and whoever looks at a page adds what was
seen there: somebody who comes late still learns when it began. One process remembers it; a restart forgets.
"""

import asyncio
import contextlib
import time
from collections.abc import Collection, Mapping
from typing import Any

from chassis.actuator import Health

from api_gateway.console.calls import Caller, Silent

EVERY_SECONDS = 10.0
WHOLE = ""
"""The service itself, among the names of its parts."""


class Watch:
    """A part of the gateway's process; `urls` are the services' addresses by name."""

    name = "watch"
    role: str | None = None
    critical = False

    def __init__(self, urls: Mapping[str, str], every: float = EVERY_SECONDS) -> None:
        self._urls = urls
        self._every = every
        self._since: dict[str, dict[str, float]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to ask."""
        self._task = asyncio.create_task(self._run(), name="watch over the services")

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def health(self) -> Health:
        """It works while the process does."""
        return Health(True, {"services": len(self._urls)})

    def note(self, name: str, ills: Collection[str]) -> None:
        """What is ill of a service now: its parts, or WHOLE; whatever is not named is well."""
        before, now = self._since.get(name, {}), time.time()
        self._since[name] = {ill: before.get(ill, now) for ill in ills}

    def since(self, name: str, part: str = WHOLE) -> float | None:
        """When that was first seen ill (Unix time, s), if it still is."""
        return self._since.get(name, {}).get(part)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            await asyncio.gather(*map(self._look, self._urls))

    async def _look(self, name: str) -> None:
        try:
            _, answer = await Caller(self._urls[name]).ask("GET", "/actuator/health")
            found = ills(answer["status"] != "DOWN", answer.get("components", {}))
        except (Silent, LookupError, TypeError, AttributeError):  # nobody answers there, or somebody else
            found = {WHOLE}
        self.note(name, found)


def ills(up: bool, components: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The parts that are not UP, and WHOLE if the service is of no use without them."""
    found = {name for name, part in components.items() if part["status"] != "UP"}
    return found if up else found | {WHOLE}
