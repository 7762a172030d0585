"""Volumes of the built-in servers: each outlives its StatefulSet, and goes with the platform where that is asked for.

A StatefulSet's own retention policy cannot tell a component that is disabled from a platform that is deleted, so the
volumes' owner, if any, is the platform itself (https://kubernetes.io/docs/concepts/architecture/garbage-collection/).
"""

from collections.abc import Iterable

from healthcare_operator.api import Api
from healthcare_operator.errors import ApiError
from healthcare_operator.platform import Manifest, Platform

CLAIM = ("v1", "PersistentVolumeClaim")


async def own(api: Api, platform: Platform, claims: Iterable[Manifest]) -> None:
    """Makes the platform the owner of its volumes with `deletionPolicy: Delete`, and nobody's with `Retain`.

    Raises:
        ApiError: the API server does not work, or the namespace is `ending`.
    """
    for claim in claims:
        owners = [each["uid"] for each in claim["metadata"].get("ownerReferences", [])]
        owned = platform.spec.deletion_policy == "Delete"
        if "deletionTimestamp" not in claim["metadata"] and (platform.uid in owners) != owned:
            await _change(api, platform, claim, owned)


async def _change(api: Api, platform: Platform, claim: Manifest, owned: bool) -> None:
    meta = {"name": claim["metadata"]["name"], "namespace": platform.namespace, "uid": claim["metadata"]["uid"]}
    references = {"ownerReferences": [{**platform.owner, "controller": False}]} if owned else {}
    try:
        await api.apply({"apiVersion": CLAIM[0], "kind": CLAIM[1], "metadata": {**meta, **references}}, force=True)
    except ApiError as error:
        if error.status not in (404, 409, 422):  # deleted in the meantime, by its uid
            raise
