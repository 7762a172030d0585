"""Pods that a StatefulSet wants and may not have; pure.

A Deployment's status says so (`ReplicaFailure`); of a StatefulSet only the Events of its controller do.
"""

from collections.abc import Iterable

from healthcare_operator.platform import Manifest

_REFUSED = "FailedCreate"


def short(manifest: Manifest) -> bool:
    """Whether a StatefulSet has fewer pods than it wants, whatever their state."""
    wanted = manifest["kind"] == "StatefulSet" and manifest["spec"].get("replicas", 1)
    return bool(wanted) and manifest.get("status", {}).get("replicas", 0) < wanted


def cause(events: Iterable[Manifest]) -> str:
    """Why the last pod or volume was refused: a quota, a limit, an admission policy; empty where it was not.

    An Event outlives its cause by an hour, so a later one takes it back; of two in one second the good one counts.
    """
    told = [each for each in events if each.get("reason") in (_REFUSED, "SuccessfulCreate")]
    last = max(told, key=lambda each: (each.get("lastTimestamp") or "", each["reason"] != _REFUSED), default=None)
    return str(last.get("message", "")) if last and last["reason"] == _REFUSED else ""
