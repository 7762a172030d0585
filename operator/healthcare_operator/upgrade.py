"""New images, step by step: try them, and return to the last ones that worked when they do not come up; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from healthcare_operator.platform import Platform


@dataclass(frozen=True, slots=True)
class Attempt:
    """Where an upgrade stands. Times are seconds since the epoch.

    `good` are the images that last ran ready, `tried` those being tried since `since`, `failed` those given up, and
    `cause` why they did not come up, where that could be seen.
    """

    good: Mapping[str, str]
    tried: Mapping[str, str]
    since: float
    failed: Mapping[str, str]
    cause: str = ""

    @classmethod
    def read(cls, version: Mapping[str, Any]) -> "Attempt":
        """From `status.version`."""
        return cls(
            version.get("lastSuccessfulImages") or {},
            version.get("images") or {},
            float(version.get("since") or 0),
            version.get("failedImages") or {},
            version.get("failure") or "",
        )

    @property
    def new(self) -> set[str]:
        """The images that were tried and never ran ready."""
        return set(self.tried.values()) - set(self.good.values())


def attempt(platform: Platform, before: Attempt, now: float, *, ready: bool) -> tuple[Platform, Attempt]:
    """The platform with the images that should run now, and where the upgrade stands.

    `ready` says whether the wanted images all run already: an operator that was away must not take them back.
    """
    wanted = platform.images
    if wanted != before.tried:
        before = Attempt(before.good, wanted, now, {})
    upgrade = platform.spec.upgrade
    overdue = now - before.since > upgrade.deadline_seconds and not ready
    if before.good and before.good != wanted and overdue and upgrade.rollback and not before.failed:
        before = replace(before, failed=wanted)
    if before.failed:
        return replace(platform, instead={**wanted, **_shared(before.good, wanted)}), before
    return platform, before


def settled(now: Attempt, *, ready: bool) -> Attempt:
    """Images that are all ready are good from now on; a rollback's were already."""
    return replace(now, good=now.tried) if ready and not now.failed else now


def _shared(good: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    return {name: image for name, image in good.items() if name in wanted}
