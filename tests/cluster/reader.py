"""Reads objects as `kubectl get -o json` shows them, without a process per look: tests mostly look again and again."""

import ssl
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2 as httpx

from tests.cluster.client import KubectlError, Manifest

DISCOVERY = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
WITHIN = 60.0


class Reader:
    """A way in by address, certificate and token. Kinds are named as for kubectl: `deploy`, `hcp`, `topics.a.group`."""

    def __init__(self, server: str, ca: Path, token: str) -> None:
        self._server, self._ca, self._token = server, ca, token
        self._served: dict[str, tuple[str, str, bool]] = {}

    def get(self, kind: str, name: str, namespace: str) -> Manifest | None:
        """An object, or nothing. Raises KubectlError."""
        path, _ = self._path(kind, namespace)
        answer = self._ask(f"{path}/{name}")
        if answer.status_code == 404 and "json" in answer.headers.get("Content-Type", ""):  # a kind: text
            return None
        return self._shown(self._checked(answer, kind))

    def all(self, kinds: str, namespace: str | None, selector: str) -> list[Manifest]:
        """Every object of these kinds (`pods,secrets`). Raises KubectlError."""
        found: list[Manifest] = []
        for kind in kinds.split(","):
            path, about = self._path(kind, namespace)
            listed = self._checked(self._ask(path, labelSelector=selector), kind)
            found += [self._shown(about | each) for each in listed["items"]]
        return found

    def close(self) -> None:
        """End its connections, where there are any."""
        if "_http" in vars(self):
            self._http.close()

    def _path(self, kind: str, namespace: str | None) -> tuple[str, Manifest]:
        """Where a kind is served, and what a list leaves out of its items."""
        if kind.lower() not in self._served:
            self._served = {name: found for found, names in reversed(list(self._discovered())) for name in names}
        if kind.lower() not in self._served:
            raise KubectlError(f"the server doesn't have a resource type {kind}")
        version, resource, namespaced = self._served[kind.lower()]
        plural, _, shown = resource.partition("/")
        root = f"/api{'s' if '/' in version else ''}/{version}"
        where = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{root}{where}/{plural}", {"apiVersion": version, "kind": shown}

    def _discovered(self) -> Iterator[tuple[tuple[str, str, bool], list[str]]]:
        """Version, `plural/Kind` and whether it is in namespaces, with its names; what kubectl prefers comes first."""
        for root in ("/api", "/apis"):
            for group in self._checked(self._ask(root, headers=DISCOVERY), root)["items"]:
                domain = group["metadata"].get("name", "")
                for served in group["versions"]:
                    version = f"{domain}/{served['version']}" if domain else served["version"]
                    for each in served.get("resources", []):
                        kind = each["responseKind"]["kind"]
                        plain = {each["resource"], each["singularResource"], kind.lower(), *each.get("shortNames", [])}
                        names = [*plain, *(f"{name}.{domain}" for name in plain)]
                        yield (version, f"{each['resource']}/{kind}", each["scope"] == "Namespaced"), names

    def _ask(self, path: str, headers: dict[str, str] | None = None, **query: str) -> httpx.Response:
        try:
            return self._http.get(path, params=query, headers=headers)
        except httpx.TransportError as error:
            raise KubectlError(f"GET {path}: {error!r}") from None

    def _checked(self, answer: httpx.Response, kind: str) -> Any:
        if answer.is_error:
            self._served.pop(kind.lower(), None)  # its definition may be gone, or another
            raise KubectlError(f"GET {kind}: {answer.status_code} {answer.text}")
        return answer.json()

    @staticmethod
    def _shown(found: Manifest) -> Manifest:
        found["metadata"].pop("managedFields", None)  # kubectl leaves them out, too
        return found

    @cached_property
    def _http(self) -> httpx.Client:
        trust = ssl.create_default_context(cafile=str(self._ca))
        bearer = {"Authorization": f"Bearer {self._token}"}
        return httpx.Client(base_url=self._server, verify=trust, headers=bearer, timeout=WITHIN)
