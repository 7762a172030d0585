"""What is asked of the API server: reads, server-side apply, deletes, events."""

from collections.abc import Callable, Sequence

from kubernetes.aio import config

from healthcare_operator.connection import Connection
from healthcare_operator.errors import ApiError, NotServed
from healthcare_operator.platform import MANAGER, Manifest, Ref

ABSENT = frozenset({404})
CONFLICT = frozenset({409})


class Api:
    """Objects by reference; `connection` says how a request is sent, and what becomes of its failure."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    @classmethod
    async def connect(cls) -> "Api":
        """By the kubeconfig that KUBECONFIG names, or as the pod's ServiceAccount."""
        await config.load_config()  # type: ignore[no-untyped-call]
        return cls(Connection())

    def writes_while(self, may_write: Callable[[], bool]) -> None:
        """Writes nothing but the lease from the moment on at which this answers no."""
        self._connection.may_write = may_write

    async def close(self) -> None:
        """Closes the connections."""
        await self._connection.close()

    async def get(self, ref: Ref) -> Manifest | None:
        """An object, or None.

        Raises:
            ApiError, NotServed.
        """
        try:
            found: Manifest = await self._connection.ask("GET", await self._path(ref), expected=ABSENT)
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
            found = await self._connection.ask(
                "GET", path, expected=ABSENT, labelSelector=selector, fieldSelector=fields
            )
        except ApiError as error:
            if error.status != 404:
                raise
            self._kinds.pop(api_version, None)  # its definition was deleted
            raise NotServed(api_version, kind) from None
        return [{**each, "apiVersion": api_version, "kind": kind} for each in found["items"]]

    async def apply(
        self, manifest: Manifest, *, force: bool, subresource: str = "", manager: str = MANAGER
    ) -> Manifest:
        """Server-side apply, strict (https://kubernetes.io/docs/reference/using-api/server-side-apply/).

        Raises:
            ApiError: 409 names the fields that other managers hold, in `causes`.
            NotServed.
        """
        ref = Ref.of(manifest)
        path = await self._path(ref) + subresource
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        expected = ABSENT if subresource else frozenset() if force else CONFLICT  # a status may come after the end
        media = "application/apply-patch+yaml"
        try:
            applied: Manifest = await self._connection.ask("PATCH", path, manifest, media, expected=expected, **query)
        except ApiError as error:
            if error.status == 404 and not await self.still_served(ref.api_version, ref.kind):
                raise NotServed(ref.api_version, ref.kind) from None
            raise
        return applied

    async def create(self, manifest: Manifest) -> Manifest:
        """Creates an object.

        Raises:
            ApiError: 409 when it is there already.
        """
        meta = manifest["metadata"]
        ref = Ref(manifest["apiVersion"], manifest["kind"], meta.get("namespace", ""), "")
        created: Manifest = await self._connection.ask("POST", await self._path(ref), manifest, expected=CONFLICT)
        return created

    async def replace(self, manifest: Manifest) -> Manifest:
        """Replaces an object whose resourceVersion has not changed.

        Raises:
            ApiError: 409 when it has.
        """
        replaced: Manifest = await self._connection.ask(
            "PUT", await self._path(Ref.of(manifest)), manifest, expected=CONFLICT
        )
        return replaced

    async def patch(self, ref: Ref, operations: Sequence[Manifest]) -> None:
        """A JSON patch (RFC 6902); one of its `test` operations that fails is a 422.

        Raises:
            ApiError, NotServed.
        """
        await self._connection.ask(
            "PATCH", await self._path(ref), list(operations), "application/json-patch+json", expected=ABSENT
        )

    async def delete(self, ref: Ref) -> None:
        """Deletes an object; one that is not there is deleted.

        Raises:
            ApiError, NotServed.
        """
        try:
            await self._connection.ask("DELETE", await self._path(ref), expected=ABSENT, propagationPolicy="Background")
        except ApiError as error:
            if error.status != 404:
                raise

    async def still_served(self, api_version: str, kind: str) -> bool:
        """Whether the API server knows a kind, asked anew.

        Raises:
            ApiError.
        """
        self._kinds.pop(api_version, None)
        return await self.served(api_version, kind)

    async def listed(self, group: str) -> bool:
        """Whether the API server lists a group, which it does a moment after it begins to serve it.

        Raises:
            ApiError.
        """
        found = await self._connection.ask("GET", "/apis")
        return any(each["name"] == group for each in found["groups"])

    async def served(self, api_version: str, kind: str) -> bool:
        """Whether the API server knows a kind; what it did not know is asked again."""
        kinds = self._kinds.get(api_version, {})
        if kind not in kinds:
            self._kinds[api_version] = kinds = await self._discover(api_version)
        return kind in kinds

    async def _discover(self, api_version: str) -> dict[str, tuple[str, bool]]:
        try:
            found = await self._connection.ask("GET", _base(api_version), expected=ABSENT)
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


def _base(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
