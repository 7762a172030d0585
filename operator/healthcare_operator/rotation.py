"""Pods that start with a credential of ours are replaced when it becomes another one: a process reads its own once.

That is when a Secret was deleted while no operator knew what it held, or a person has put another password into it. Its
digest stands in the pods' template and changes with its content alone; its salt keeps the digest from being guessed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from healthcare_operator.crd import GROUP
from healthcare_operator.plan import digest
from healthcare_operator.platform import Manifest

ANNOTATION = f"{GROUP}/credentials"
WORKLOADS = frozenset({"Deployment", "StatefulSet"})


def stamped(wanted: Mapping[str, Sequence[Manifest]], secrets: Sequence[Manifest]) -> dict[str, list[Manifest]]:
    """The components with what their pods start with written into their templates; `secrets` are those we make."""
    held = {each["metadata"]["name"]: each["data"] for each in secrets}
    return {component: [_stamped(each, held) for each in manifests] for component, manifests in wanted.items()}


def _stamped(manifest: Manifest, held: Mapping[str, Any]) -> Manifest:
    if manifest["kind"] not in WORKLOADS:
        return manifest
    template = manifest["spec"]["template"]
    names = sorted(held.keys() & set(_named(template["spec"])))
    if not names:
        return manifest
    meta = template.get("metadata", {})
    annotations = {**meta.get("annotations", {}), ANNOTATION: digest([[name, held[name]] for name in names])}
    template = {**template, "metadata": {**meta, "annotations": annotations}}
    return {**manifest, "spec": {**manifest["spec"], "template": template}}


def _named(node: Any) -> Iterator[str]:
    """The Secrets that a pod mounts, or takes a variable from."""
    if isinstance(node, dict):
        if isinstance(name := node.get("secretName"), str):
            yield name
        for key in ("secret", "secretRef", "secretKeyRef"):
            if isinstance(reference := node.get(key), dict) and "name" in reference:
                yield reference["name"]
        for value in node.values():
            yield from _named(value)
    elif isinstance(node, list):
        for each in node:
            yield from _named(each)
