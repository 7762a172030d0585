"""What a platform leads to, kept until its spec changes: rendering costs more than the rest of a pass."""

import asyncio

from healthcare_operator import secrets
from healthcare_operator.apply import Memory
from healthcare_operator.helm import Charts
from healthcare_operator.metrics import RENDERED
from healthcare_operator.plan import digest
from healthcare_operator.platform import Manifest, Platform
from healthcare_operator.render import CREDENTIALS, components
from healthcare_operator.rotation import stamped
from healthcare_operator.workqueue import Key

Wanted = dict[str, list[Manifest]]


class Desired:
    """The objects of each platform, by component."""

    def __init__(self, charts: Charts) -> None:
        self._charts = charts
        self._rendered: dict[Key, tuple[str, Wanted]] = {}

    async def of(self, platform: Platform, memory: Memory) -> Wanted:
        """Component → its objects, with the credentials that there are.

        Raises:
            ChartError: a chart refuses what the spec leads to.
        """
        rendered = await self.rendered(platform)
        made = secrets.manifests(platform, memory.secrets)
        return {CREDENTIALS: made, **stamped(rendered, made)}

    async def rendered(self, platform: Platform) -> Wanted:
        """The same without credentials; what a process that waits for its turn gets ready beforehand.

        Raises:
            ChartError.
        """
        key = (platform.namespace, platform.name)
        of = digest([platform.spec.model_dump(), platform.uid, dict(platform.instead)])
        if key not in self._rendered or self._rendered[key][0] != of:
            self._rendered[key] = (of, await asyncio.to_thread(components, platform, self._charts))
            RENDERED.set(len(self._rendered))
        return self._rendered[key][1]

    def forget(self, key: Key) -> None:
        """The platform is gone."""
        self._rendered.pop(key, None)
        RENDERED.set(len(self._rendered))
