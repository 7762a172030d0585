"""Why new pods do not come up, in the kubelet's words; pure."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from healthcare_operator.platform import COMPONENT, Manifest

_COMING_UP = frozenset({"PodInitializing", "ContainerCreating"})
_ERROR = re.compile(r"(?:\w+\.)*\w+(?:Error|Exception): ")


def cause(pods: Iterable[Manifest], images: Collection[str]) -> str:
    """The gravest trouble of a pod that runs one of these images; empty where none is seen."""
    found = [trouble for pod in pods if _images(pod) & set(images) for trouble in _troubles(pod)]
    return min(found)[1] if found else ""


def _images(pod: Manifest) -> set[str]:
    return {each["image"] for each in pod["spec"]["containers"]}


def _troubles(pod: Manifest) -> Iterator[tuple[int, str]]:
    """Each with its gravity: what ended says more than what waits, and that more than what has not begun."""
    status, of = pod.get("status", {}), pod["metadata"]["labels"].get(COMPONENT, pod["metadata"]["name"])
    for each in status.get("conditions", []):
        if each["type"] == "PodScheduled" and each["status"] == "False":
            yield 2, f"{of} finds no node: {each.get('message', each.get('reason', ''))}"
    for each in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        who = f"{each['name']} of {of}" if each["name"] != of else of
        waiting = each["state"].get("waiting", {})
        ended = each["state"].get("terminated") or each.get("lastState", {}).get("terminated")
        if ended and ended["exitCode"]:
            yield 0, f"{who} ended with exit code {ended['exitCode']}{_last_line(ended)}"
        elif waiting and waiting.get("reason") not in _COMING_UP:
            yield 1, f"{who} waits: {waiting.get('reason')} {waiting.get('message', '')}".strip()
        elif not each["ready"] and "running" in each["state"]:
            yield 2, f"{who} runs and is not ready"


def _last_line(ended: dict[str, Any]) -> str:
    """The last line that names an error: SQLAlchemy's are followed by the statement and a link."""
    lines = [line.strip() for line in (ended.get("message") or "").splitlines() if line.strip()]
    named = [line for line in lines if _ERROR.match(line)]
    return f": {(named or lines)[-1][:1000]}" if lines else ""
