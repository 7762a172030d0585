"""Kubernetes Events, when a condition changes and at no other time."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from healthcare_operator.api import Api
from healthcare_operator.errors import ApiError
from healthcare_operator.excerpt import excerpt
from healthcare_operator.platform import MANAGER, Manifest

log = structlog.get_logger()

LONGEST = 1024  # bytes in an Event's message


@dataclass(frozen=True, slots=True)
class Word:
    """What an Event says: `{why}` is the condition's own message."""

    type: Literal["Normal", "Warning"]
    reason: str
    sentence: str


BEGUN = Word("Normal", "Installing", "The platform is being brought up: {why}.")
TOLD = {
    ("Ready", "True"): Word("Normal", "PlatformReady", "Every component is ready."),
    ("Ready", "False"): Word("Warning", "PlatformNotReady", "The platform is no longer ready: {why}."),
    ("Degraded", "UpgradeFailed"): Word("Warning", "UpgradeFailed", "The upgrade was taken back: {why}."),
    ("Degraded", "ApplyFailed"): Word("Warning", "ApplyFailed", "An object could not be applied: {why}."),
    ("Degraded", "False"): Word("Normal", "Recovered", "Nothing fails any longer."),
    ("Drifted", "FieldConflict"): Word("Warning", "FieldConflict", "A field is left to its other owner: {why}."),
    ("Drifted", "NotCorrected"): Word("Warning", "DriftNotCorrected", "What was changed by hand stays: {why}."),
    ("Drifted", "False"): Word("Normal", "DriftResolved", "Everything is as the spec says again."),
    ("DependenciesReady", "False"): Word("Warning", "DefinitionMissing", "The platform needs another operator: {why}"),
    ("DependenciesReady", "True"): Word("Normal", "DefinitionsInstalled", "Every definition that it needs is served."),
    ("Stalled", "InvalidSpec"): Word("Warning", "InvalidSpec", "The spec cannot work, so nothing is changed: {why}."),
    ("Stalled", "False"): Word("Normal", "SpecAccepted", "The spec can work again."),
    ("ActionRequired", "True"): Word("Warning", "ActionRequired", "Something is left to do for a person: {why}."),
    ("ActionRequired", "False"): Word("Normal", "ActionTaken", "Nothing is left to do for a person."),
    ("Suspended", "True"): Word("Normal", "Suspended", "Nothing is changed until spec.suspend is false again."),
    ("Suspended", "False"): Word("Normal", "Resumed", "The platform is kept as its spec says again."),
}
"""By condition, and its status or, where one status has several reasons, its reason."""

_USUAL = {"Ready": "True", "DependenciesReady": "True"}
Spoken = tuple[Word, str]


def transitions(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Spoken]:
    """What is said of the way from one status to the next, with the reason for it; pure.

    A condition that is not among the others is as it usually is, and a platform begins without a word about that.
    """
    was = {each["type"]: each["status"] for each in before.get("conditions", [])}
    now = {each["type"]: each for each in after["conditions"]}
    for kind in dict.fromkeys(kind for kind, _ in TOLD):
        usual = _USUAL.get(kind, "False")
        held = now.get(kind, {"status": usual, "reason": "", "message": ""})
        if kind == "Ready" and not was and held["status"] == "False":
            if not now.keys() & {"Stalled", "Suspended"}:
                yield BEGUN, held["message"]
        elif held["status"] != was.get(kind, usual) or (kind == "Ready" and not was):
            yield TOLD.get((kind, held["status"])) or TOLD[kind, held["reason"]], held["message"]


class Recorder:
    """Writes Events beside the resource that they speak of."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def transitions(self, found: Manifest, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """One Event for each condition whose status changed; an Event that cannot be written is only logged."""
        for word, why in transitions(before, after):
            await self._write(found, word, why)

    async def _write(self, found: Manifest, word: Word, why: str) -> None:
        meta, now = found["metadata"], datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{secrets.token_hex(8)}", "namespace": meta["namespace"]},
            "involvedObject": {key: found[key] for key in ("apiVersion", "kind")}
            | {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion")},
            "type": word.type,
            "reason": word.reason,
            "message": excerpt(word.sentence.format(why=why.rstrip(".")), LONGEST),
            "source": {"component": MANAGER},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self._api.create(event)
        except ApiError as error:
            if not error.ending:  # nobody would read it
                log.warning("event not written", status=error.status, said=str(error))
