"""Fields of objects and their owners, as server-side apply keeps them; pure.

Format of `fieldsV1`: https://kubernetes.io/docs/reference/using-api/server-side-apply/ and structured-merge-diff.
"""

import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from healthcare_operator.platform import MANAGER, Manifest

_PART = re.compile(r"\.([^.\[]+)|\[([^\]]+)\]")


def settled(manifest: Manifest, live: Manifest) -> bool:
    """Whether applying the manifest would change nothing: its values are there, and no other field is ours.

    A value that the API server writes in another way (a quantity, say) counts as a change: applying it is harmless.
    """
    owned = _owned(live)
    return owned is not None and _covers(manifest, live) and _within(owned, manifest)


def left_to_others(manifest: Manifest, live: Manifest) -> int | None:
    """How many pods a Deployment has, where the operator said so until now and no longer does."""
    if manifest["kind"] != "Deployment" or "replicas" in manifest["spec"] or not _owns(live, "spec", "replicas"):
        return None
    return int(live["spec"]["replicas"])


def _owns(live: Manifest, *path: str) -> bool:
    node: Any = _owned(live)
    for name in path:
        node = node.get(f"f:{name}") if isinstance(node, dict) else None
    return node is not None


def _owned(live: Manifest) -> Any:
    """The fields that the operator applied; None where it never did."""
    for each in live["metadata"].get("managedFields", []):
        if (each["manager"], each.get("operation"), each.get("subresource", "")) == (MANAGER, "Apply", ""):
            return each.get("fieldsV1", {})
    return None


def _covers(wanted: Any, live: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(key in live and _covers(wanted[key], live[key]) for key in wanted)
    if isinstance(wanted, list):
        alike = isinstance(live, list) and len(wanted) == len(live)
        return alike and all(_covers(one, other) for one, other in zip(wanted, live, strict=True))
    return bool(wanted == live)


def _within(fields: Mapping[str, Any], node: Any) -> bool:
    """Whether every field of a set is in a manifest."""
    return all(_has(node, *key.partition(":")[::2], inner) for key, inner in fields.items() if key != ".")


def _has(node: Any, kind: str, name: str, inner: Mapping[str, Any]) -> bool:
    if kind == "f":
        return isinstance(node, dict) and name in node and _within(inner, node[name])
    if not isinstance(node, list):
        return False
    if kind == "v":
        return json.loads(name) in node
    keys = json.loads(name)  # a key that a manifest leaves out has its default: protocol: TCP
    found = [each for each in node if all(each.get(key, value) == value for key, value in keys.items())]
    return any(_within(inner, each) for each in found)


def without(manifest: Manifest, paths: Sequence[str]) -> Manifest:
    """The manifest less these fields, named as in a conflict: `.spec.template.spec.containers[name="x"].image`."""
    cut = deepcopy(manifest)
    for path in paths:
        _remove(cut, [(plain, keys) for plain, keys in _PART.findall(path)])
    return cut


def _remove(node: object, parts: Sequence[tuple[str, str]]) -> None:
    for plain, keys in parts[:-1]:
        if plain and isinstance(node, dict):
            node = node.get(plain)
        elif isinstance(node, list):
            node = next((each for each in node if _matches(each, keys)), None)
    plain, keys = parts[-1]
    if plain and isinstance(node, dict):
        node.pop(plain, None)
    elif isinstance(node, list):
        node[:] = [each for each in node if not _matches(each, keys)]


def _matches(item: object, keys: str) -> bool:
    wanted = dict(re.findall(r'([^=,]+)="?([^",]*)"?', keys))
    return isinstance(item, dict) and all(str(item.get(key)) == value for key, value in wanted.items())
