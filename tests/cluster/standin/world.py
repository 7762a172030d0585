"""What a stand-in sees and what it says about it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

Manifest = dict[str, Any]


class World(Protocol):
    """The objects of the cluster, as they were a moment ago."""

    def all(self, kind: str, namespace: str) -> list[Manifest]:
        """Every object of a kind in a namespace."""

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """One object, or nothing."""


Finalizer = tuple[str, bool]
"""Its name, and whether the resource is to have it now."""


@dataclass(frozen=True)
class Report:
    """What an operator makes of a resource: its status (nothing: it says nothing) and what it creates beside it."""

    status: Manifest | None
    children: list[tuple[str, Manifest]] = field(default_factory=list)


class Invalid(Exception):
    """The operator would refuse this resource; the text is its reason."""


Judge = Callable[[Manifest, World], Report]


def condition(kind: str, status: bool, reason: str = "", message: str = "") -> Manifest:
    """A condition; the loop adds the time of its last change."""
    said = {"reason": reason, "message": message}
    return {"type": kind, "status": str(status), **{key: text for key, text in said.items() if text}}


def child(
    owner: Manifest, kind: str, name: str, api_version: str = "v1", labels: Manifest | None = None, **body: Any
) -> tuple[str, Manifest]:
    """An object in the owner's namespace, which goes when the owner goes."""
    reference = {key: owner[key] for key in ("apiVersion", "kind")}
    reference |= {key: owner["metadata"][key] for key in ("name", "uid")}
    meta = {"name": name, "namespace": owner["metadata"]["namespace"], "ownerReferences": [reference]}
    meta |= {"labels": labels} if labels else {}
    group, slash, _ = api_version.partition("/")
    return f"{kind}.{group}" if slash else kind, {"apiVersion": api_version, "kind": kind, "metadata": meta, **body}


def service(owner: Manifest, name: str, port: int, selector: Manifest) -> tuple[str, Manifest]:
    """A Service with one port."""
    ports = [{"name": "tcp", "port": port, "targetPort": port, "protocol": "TCP"}]
    return child(owner, "Service", name, spec={"selector": selector, "ports": ports})


def require_secret(world: World, namespace: str, reference: Manifest, purpose: str) -> None:
    """Raise Invalid where a Secret, or the key asked of it, is missing."""
    secret = world.find("Secret", namespace, reference["name"])
    if secret is None:
        raise Invalid(f"Secret {reference['name']} with {purpose} does not exist.")
    if (key := reference.get("key")) and key not in secret.get("data", {}):
        raise Invalid(f"Secret {reference['name']} does not contain the key {key}.")
