"""The only module that touches the API server: reads, server-side apply, deletes, events."""

import json
from typing import Any

from kubernetes.aio import client, config

from healthcare_operator.errors import ApiError, NotServed
from healthcare_operator.platform import MANAGER, Manifest, Ref

TIMEOUT_SECONDS = 30


class Api:
    """A connection to the API server; `requests` counts what was asked, by verb."""

    def __init__(self, connection: client.ApiClient) -> None:
        self._connection = connection
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}
        self.requests: dict[str, int] = {}

    @classmethod
    async def connect(cls) -> "Api":
        """By the kubeconfig that KUBECONFIG names, or as the pod's ServiceAccount."""
        await config.load_config()  # type: ignore[no-untyped-call]
        return cls(client.ApiClient())

    async def close(self) -> None:
        """Closes the connections."""
        await self._connection.close()  # type: ignore[no-untyped-call]

    async def get(self, ref: Ref) -> Manifest | None:
        """An object, or None.

        Raises:
            ApiError, NotServed.
        """
        try:
            found: Manifest = await self._ask("get", "GET", await self._path(ref))
            return found
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def list(
        self, api_version: str, kind: str, namespace: str | None, selector: str = "", *, fields: str = ""
    ) -> list[Manifest]:
        """The objects that selectors of labels and of fields find, with apiVersion and kind filled in.

        Raises:
            ApiError, NotServed.
        """
        path = await self._path(Ref(api_version, kind, namespace or "", ""))
        try:
            found = await self._ask("list", "GET", path, labelSelector=selector, fieldSelector=fields)
        except ApiError as error:
            if error.status != 404:
                raise
            self._kinds.pop(api_version, None)  # its definition was deleted
            raise NotServed(api_version, kind) from None
        return [{**each, "apiVersion": api_version, "kind": kind} for each in found["items"]]

    async def apply(self, manifest: Manifest, *, force: bool, subresource: str = "") -> Manifest:
        """Server-side apply, strict (https://kubernetes.io/docs/reference/using-api/server-side-apply/).

        Raises:
            ApiError: 409 names the fields that other managers hold, in `causes`.
            NotServed.
        """
        ref = Ref.of(manifest)
        path = await self._path(ref) + subresource
        query = {"fieldManager": MANAGER, "force": str(force).lower(), "fieldValidation": "Strict"}
        try:
            applied: Manifest = await self._ask(
                "patch", "PATCH", path, manifest, "application/apply-patch+yaml", **query
            )
        except ApiError as error:
            if error.status == 404:
                await self._still_served(ref)
            raise
        return applied

    async def create(self, manifest: Manifest) -> Manifest:
        """Creates an object.

        Raises:
            ApiError: 409 when it is there already.
        """
        meta = manifest["metadata"]
        ref = Ref(manifest["apiVersion"], manifest["kind"], meta.get("namespace", ""), "")
        created: Manifest = await self._ask("create", "POST", await self._path(ref), manifest)
        return created

    async def replace(self, manifest: Manifest) -> Manifest:
        """Replaces an object whose resourceVersion has not changed.

        Raises:
            ApiError: 409 when it has.
        """
        replaced: Manifest = await self._ask("update", "PUT", await self._path(Ref.of(manifest)), manifest)
        return replaced

    async def delete(self, ref: Ref) -> None:
        """Deletes an object; one that is not there is deleted."""
        try:
            await self._ask("delete", "DELETE", await self._path(ref), propagationPolicy="Background")
        except ApiError as error:
            if error.status != 404:
                raise

    async def served(self, api_version: str, kind: str) -> bool:
        """Whether the API server knows a kind; what it did not know is asked again."""
        kinds = self._kinds.get(api_version, {})
        if kind not in kinds:
            self._kinds[api_version] = kinds = await self._discover(api_version)
        return kind in kinds

    async def _still_served(self, ref: Ref) -> None:
        """A 404 on writing says that a definition, or a namespace, has gone since it was looked up."""
        self._kinds.pop(ref.api_version, None)
        if not await self.served(ref.api_version, ref.kind):
            raise NotServed(ref.api_version, ref.kind)

    async def _discover(self, api_version: str) -> dict[str, tuple[str, bool]]:
        try:
            found = await self._ask("discover", "GET", _base(api_version))
        except ApiError as error:
            if error.status == 404:
                return {}
            raise
        return {
            each["kind"]: (each["name"], each["namespaced"]) for each in found["resources"] if "/" not in each["name"]
        }

    async def _path(self, ref: Ref) -> str:
        if not await self.served(ref.api_version, ref.kind):
            raise NotServed(ref.api_version, ref.kind)
        plural, namespaced = self._kinds[ref.api_version][ref.kind]
        scope = f"/namespaces/{ref.namespace}" if namespaced and ref.namespace else ""
        return f"{_base(ref.api_version)}{scope}/{plural}" + (f"/{ref.name}" if ref.name else "")

    async def _ask(
        self,
        verb: str,
        method: str,
        path: str,
        body: Manifest | None = None,
        media: str = "application/json",
        **query: str,
    ) -> Any:
        self.requests[verb] = self.requests.get(verb, 0) + 1
        request = await self._connection.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", "Content-Type": media},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = await self._connection.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
        content = await answer.response.read()
        if not 200 <= answer.status < 300:
            raise ApiError(answer.status, _explained(content))
        return json.loads(content or b"{}")


def _base(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _explained(content: bytes) -> dict[str, Any]:
    """A `Status` object, or the plain text with which paths that nobody serves are answered."""
    try:
        status = json.loads(content)
    except ValueError:
        return {"message": content.decode(errors="replace").strip()[:200]}
    return status if isinstance(status, dict) else {}
