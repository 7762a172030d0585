"""A small client of the API server for what runs all the time: no process per call, strict in what it sends."""

import ssl
from functools import cached_property
from typing import Any

import httpx2 as httpx

from tests.cluster.controlplane import ControlPlane

Manifest = dict[str, Any]
APPLY = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}


class Refused(RuntimeError):
    """The API server answered with an error; the text is its own."""


class Unavailable(Refused):
    """The API server is starting, stopping or busy: the same question may be asked again."""


def kind_of(found: Manifest) -> str:
    """An object's kind as `Api` names it."""
    group, slash, _ = found["apiVersion"].partition("/")
    return f"{found['kind']}.{group}" if slash else str(found["kind"])


class Api:
    """Reads, applies and reports. Kinds are named `kind.group`, or `kind` alone for the core group."""

    def __init__(self, cluster: ControlPlane, manager: str) -> None:
        self.manager = manager
        self._cluster = cluster
        self._places: dict[str, tuple[str, str]] = {}

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        answer = self._http.get(self._path(kind, namespace, name))
        return None if answer.status_code == 404 else self._checked(answer)

    def apply(self, kind: str, manifest: Manifest, subresource: str = "") -> Manifest:
        """Server-side apply of an object, or of its status."""
        meta = manifest["metadata"]
        path = self._path(kind, meta["namespace"], meta["name"]) + (f"/{subresource}" if subresource else "")
        query = {"fieldManager": self.manager, "force": "true", "fieldValidation": "Strict"}
        return self._checked(self._http.patch(path, params=query, headers=APPLY, json=manifest))

    def merge(self, kind: str, namespace: str, name: str, patch: Manifest) -> Manifest:
        """A merge patch: an edit, as by `kubectl edit`."""
        query = {"fieldManager": self.manager}
        path = self._path(kind, namespace, name)
        return self._checked(self._http.patch(path, params=query, headers=MERGE, json=patch))

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self._checked(self._http.delete(self._path(kind, namespace, name)))

    def close(self) -> None:
        self._http.close()

    def _path(self, kind: str, namespace: str, name: str) -> str:
        place = self.place(kind)
        if not place:
            raise Refused(f"the API server does not know {kind}")
        root, plural = place
        return f"{root}{f'/namespaces/{namespace}' if namespace else ''}/{plural}/{name}"

    def place(self, kind: str) -> tuple[str, str] | None:
        """The path under which a kind is served; asked again until it is known."""
        if kind not in self._places and (found := self._discover(kind)):
            self._places[kind] = found
        return self._places.get(kind)

    def forget(self, kind: str) -> None:
        """Ask anew where a kind is served: its definition is gone, or another one came."""
        self._places.pop(kind, None)

    def _discover(self, kind: str) -> tuple[str, str] | None:
        name, _, group = kind.partition(".")
        if group:
            about = self._http.get(f"/apis/{group}")
            if about.status_code == 404:
                return None
            root = f"/apis/{self._checked(about)['preferredVersion']['groupVersion']}"
        else:
            root = "/api/v1"
        for resource in self._checked(self._http.get(root))["resources"]:
            if resource["kind"] == name and "/" not in resource["name"]:
                return root, resource["name"]
        return None

    @cached_property
    def _http(self) -> httpx.Client:
        trust = ssl.create_default_context(cafile=str(self._cluster.ca))
        bearer = {"Authorization": f"Bearer {self._cluster.token}"}
        return httpx.Client(base_url=self._cluster.server, verify=trust, headers=bearer, timeout=10)

    @staticmethod
    def _checked(answer: httpx.Response) -> Any:
        if answer.status_code in {429, 500, 502, 503, 504}:
            raise Unavailable(answer.text)
        if answer.is_error:
            raise Refused(answer.text)
        return answer.json()
