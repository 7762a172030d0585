"""Free disk space as a component of /actuator/health, named and limited as Spring Boot does it."""

import asyncio
import shutil

from chassis.actuator import Health

THRESHOLD_BYTES = 10 * 1024 * 1024
"""Spring Boot's default for `management.health.diskspace.threshold`."""


class DiskSpace:
    """A part that never runs and is never critical: DOWN while the disk of `path` has less than 10 MiB."""

    name = "diskSpace"
    role: str | None = None
    critical = False

    def __init__(self, path: str) -> None:
        self._path = path

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to let go."""

    async def health(self) -> Health:
        """UP with room; details `{total,free,threshold}` in bytes. OSError where there is no such folder."""
        usage = await asyncio.to_thread(shutil.disk_usage, self._path)
        details = {"total": usage.total, "free": usage.free, "threshold": THRESHOLD_BYTES}
        return Health(usage.free >= THRESHOLD_BYTES, details)
