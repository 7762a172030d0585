"""After a platform's end: what the garbage collector cannot do alone.

A finalizer of another operator keeps an object for ever where that operator is collected at the same time; and a volume
that was made after the last pass has no owner. The platform itself has no finalizer: nothing waits for this.
"""

from healthcare_operator.api import Api
from healthcare_operator.claims import belongs_to
from healthcare_operator.errors import ApiError, NotServed
from healthcare_operator.observe import CLAIM, PROMETHEUS
from healthcare_operator.platform import PLATFORM, Manifest, Platform, Ref
from healthcare_operator.workqueue import Key

GONE = -1.0
AGAIN_SECONDS = 1.0
LOOKS = 60

FINALIZERS = {
    ("kafka.strimzi.io/v1", "KafkaTopic"): ("strimzi.io/topic-operator", "Kafka"),
    ("postgresql.cnpg.io/v1", "Database"): ("cnpg.io/deleteDatabase", "Cluster"),
}
"""By kind, the finalizer that a server's own pods take away, and the kind of that server."""


class LettingGo:
    """Looks again at a platform that is gone until everything of it is as its deletionPolicy says."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._platforms: dict[Key, Platform] = {}
        self._looks: dict[Key, int] = {}

    def note(self, platform: Platform) -> None:
        """Its policy, should it be gone at the next look."""
        key = (platform.namespace, platform.name)
        self._platforms[key] = platform
        self._looks.pop(key, None)

    async def after(self, key: Key) -> float:
        """Lets go; seconds until the next look, GONE when nothing is left to do.

        Raises:
            ApiError: the look has to be made again.
        """
        left = await self._release(key)
        platform = self._platforms.get(key)
        if platform and platform.spec.deletion_policy == "Delete":
            left = await self._volumes(platform) or left
        looks = self._looks[key] = self._looks.get(key, 0) + 1
        if left and looks < LOOKS:
            return AGAIN_SECONDS
        self._platforms.pop(key, None)
        self._looks.pop(key, None)
        return GONE

    async def _release(self, key: Key) -> bool:
        """Takes the finalizers of servers that are gone; whether some of their objects still wait for their end."""
        ending = False
        for (api_version, kind), (finalizer, server) in FINALIZERS.items():
            found = await self._list(api_version, kind, key)
            held = [each for each in found if "deletionTimestamp" in each["metadata"] and _at(each, finalizer) >= 0]
            ending = ending or bool(held)
            if held and not [each for each in await self._list(api_version, server, key) if _lives(each)]:
                for each in held:
                    await self._take(each, finalizer)
        return ending

    async def _list(self, api_version: str, kind: str, key: Key) -> list[Manifest]:
        try:
            return await self._api.list(api_version, kind, key[0], f"{PLATFORM}={key[1]}")
        except NotServed:
            return []

    async def _take(self, each: Manifest, finalizer: str) -> None:
        path = f"/metadata/finalizers/{_at(each, finalizer)}"
        try:
            await self._api.patch(
                Ref.of(each), [{"op": "test", "path": path, "value": finalizer}, {"op": "remove", "path": path}]
            )
        except ApiError as error:
            if error.status not in (404, 422):  # gone, or another one stands there now: seen at the next look
                raise

    async def _volumes(self, platform: Platform) -> bool:
        """Gives volumes without an owner the platform that is gone, so that they go as well; whether more may come.

        A StatefulSet makes a volume anew that goes before it, so the StatefulSets are looked at first.
        """
        more = [each for each in await self._of(platform, "apps/v1", "StatefulSet") if _lives(each)]
        for each in await self._of(platform, *CLAIM):
            if _lives(each) and not each["metadata"].get("ownerReferences"):
                await belongs_to(self._api, platform, each)
        return bool(more)

    async def _of(self, platform: Platform, api_version: str, kind: str) -> list[Manifest]:
        """The platform's own, and those that prometheus-operator made for it."""
        found = await self._list(api_version, kind, (platform.namespace, platform.name))
        selector = f"{PROMETHEUS}={platform.named('monitoring')}"
        return found + await self._api.list(api_version, kind, platform.namespace, selector)


def _lives(manifest: Manifest) -> bool:
    return "deletionTimestamp" not in manifest["metadata"]


def _at(manifest: Manifest, finalizer: str) -> int:
    """Its place among the object's finalizers, or -1."""
    held = manifest["metadata"].get("finalizers", [])
    return held.index(finalizer) if finalizer in held else -1
