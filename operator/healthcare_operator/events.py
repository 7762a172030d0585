"""Kubernetes Events, when a condition changes and at no other time."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from healthcare_operator.api import Api, ApiError
from healthcare_operator.platform import MANAGER, Manifest

log = structlog.get_logger()

_BAD_WHEN_TRUE = frozenset({"Degraded", "Drifted", "Stalled"})
_TOLD = frozenset({"Ready", "Degraded", "Drifted", "Stalled", "Suspended", "DependenciesReady"})


class Recorder:
    """Writes Events beside the resource that they speak of."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def transitions(self, found: Manifest, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """One Event for each condition whose status changed; an Event that cannot be written is only logged."""
        held = {each["type"]: each["status"] for each in before.get("conditions", [])}
        for each in after["conditions"]:
            usual = "True" if each["type"] in ("Ready", "DependenciesReady") else "False"
            if each["type"] in _TOLD and held.get(each["type"], usual if held else "") != each["status"]:
                if not held and each["status"] == usual:
                    continue  # a platform begins without a word about what is as it should be
                await self._write(found, each)

    async def _write(self, found: Manifest, condition: Mapping[str, Any]) -> None:
        bad = (condition["status"] == "True") == (condition["type"] in _BAD_WHEN_TRUE)
        meta, now = found["metadata"], datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{secrets.token_hex(8)}", "namespace": meta["namespace"]},
            "involvedObject": {key: found[key] for key in ("apiVersion", "kind")}
            | {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion")},
            "type": "Warning" if bad and condition["type"] != "Suspended" else "Normal",
            "reason": f"{condition['type']}{'' if condition['status'] == 'True' else 'No'}",
            "message": f"{condition['reason']}: {condition['message']}"[:1024],
            "source": {"component": MANAGER},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self._api.create(event)
        except ApiError as error:
            if not error.ending:  # nobody would read it
                log.warning("event not written", status=error.status)
