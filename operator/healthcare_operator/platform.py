"""One platform, as every other module speaks of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from healthcare_operator.crd import GROUP, KIND, VERSION
from healthcare_operator.spec import SERVICES, Spec

Manifest = dict[str, Any]

MANAGER = "healthcare-operator"
PLATFORM = f"{GROUP}/platform"
COMPONENT = f"{GROUP}/component"
API_VERSION = f"{GROUP}/{VERSION}"


@dataclass(frozen=True, slots=True)
class Platform:
    """A HealthcarePlatform: who it is, and what it asks for. `instead` has the images of a rollback, by service."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: Spec
    instead: Mapping[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> Manifest:
        """The reference that makes an object go with its platform."""
        return {"apiVersion": API_VERSION, "kind": KIND, "name": self.name, "uid": self.uid, "controller": True}

    def named(self, component: str) -> str:
        """The name of a component's objects; two platforms fit in one namespace."""
        return f"{self.name}-{component}"

    def image(self, service: str) -> str:
        """A service's whole image reference."""
        if name := self.instead.get(service):
            return name
        own, images = self.spec.services.get(service).image, self.spec.images
        return own or f"{images.registry.rstrip('/') + '/' if images.registry else ''}{service}:{images.tag}"

    @property
    def images(self) -> dict[str, str]:
        """The images of the services that are enabled: what an upgrade changes."""
        return {name: self.image(name) for name in SERVICES if self.spec.services.get(name).enabled}


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Which object: `api_version` as in a manifest."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Manifest) -> "Ref":
        """The reference of a manifest."""
        meta = manifest["metadata"]
        return cls(manifest["apiVersion"], manifest["kind"], meta.get("namespace", ""), meta["name"])

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"
