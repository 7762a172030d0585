"""Volumes: each outlives what uses it, goes with the platform where that is asked for, and grows with its spec.

A StatefulSet's own retention policy cannot tell a component that is disabled from a platform that is deleted, so the
volumes' owner, if any, is the platform itself (https://kubernetes.io/docs/concepts/architecture/garbage-collection/).
prometheus-operator never grows a volume, and a StatefulSet cannot, so that is done here, where the class allows it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from healthcare_operator.api import Api
from healthcare_operator.apply import Outcome
from healthcare_operator.errors import ApiError
from healthcare_operator.notices import Notice
from healthcare_operator.observe import CLAIM, PROMETHEUS
from healthcare_operator.platform import Manifest, Platform, Ref
from healthcare_operator.quantity import number
from healthcare_operator.retained import ANNOTATION, written

_CHANGED = (404, 409, 422)
"""It was deleted in the meantime: a uid is given with every change."""


@dataclass(frozen=True, slots=True)
class Volume:
    """What a volume should be: at least so large, with files of this version (empty: not known)."""

    size: str = "0"
    version: str = ""


async def keep(
    api: Api,
    platform: Platform,
    wanted: Mapping[str, Sequence[Manifest]],
    observed: Mapping[Ref, Manifest],
    outcome: Outcome,
) -> list[Notice]:
    """Brings each volume in order; what it cannot be is said.

    Raises:
        ApiError: the namespace is `ending`.
    """
    needs: list[Notice] = []
    volumes = dict(_volumes(wanted, observed))
    for ref, claim in observed.items():
        if (ref.api_version, ref.kind) == CLAIM and "deletionTimestamp" not in claim["metadata"]:
            volume = volumes.get(ref.name, Volume())
            try:
                await _adjust(api, platform, claim, volume)
            except ApiError as error:
                outcome.refused(ref, error)
            needs += await _grow(api, platform, claim, volume.size)
    return needs


async def belongs_to(api: Api, platform: Platform, claim: Manifest) -> None:
    """Makes the platform the owner of a volume.

    Raises:
        ApiError.
    """
    await _apply(api, platform, claim, owned=True, version="", size=_size(claim))


def _volumes(
    wanted: Mapping[str, Sequence[Manifest]], observed: Mapping[Ref, Manifest]
) -> Iterator[tuple[str, Volume]]:
    for component, manifests in wanted.items():
        for each in manifests:
            if each["kind"] == "StatefulSet":
                version = written(component, observed.get(Ref.of(each)))
                for claim in each["spec"].get("volumeClaimTemplates", []):
                    name = f"{claim['metadata']['name']}-{each['metadata']['name']}-0"
                    yield name, Volume(claim["spec"]["resources"]["requests"]["storage"], version)
            if each["kind"] == "Prometheus":
                template = each["spec"]["storage"]["volumeClaimTemplate"]["spec"]
                size = Volume(template["resources"]["requests"]["storage"])
                yield from ((name, size) for name in _of_prometheus(each["metadata"]["name"], observed.values()))


def _of_prometheus(name: str, observed: Iterable[Manifest]) -> Iterator[str]:
    for each in observed:
        if each["kind"] == CLAIM[1] and each["metadata"].get("labels", {}).get(PROMETHEUS) == name:
            yield each["metadata"]["name"]


async def _adjust(api: Api, platform: Platform, claim: Manifest, volume: Volume) -> None:
    """Its owner, and the version of its files."""
    meta = claim["metadata"]
    owned = platform.spec.deletion_policy == "Delete"
    was = platform.uid in [each["uid"] for each in meta.get("ownerReferences", [])]
    told = meta.get("annotations", {}).get(ANNOTATION, "")
    version = volume.version or told
    if was != owned or told != version:
        await _apply(api, platform, claim, owned=owned, version=version, size=_size(claim))


async def _grow(api: Api, platform: Platform, claim: Manifest, size: str) -> list[Notice]:
    """What is said of a volume that is smaller than the spec asks for."""
    if number(_size(claim)) >= number(size) or claim.get("status", {}).get("phase") != "Bound":
        return []
    owned = platform.spec.deletion_policy == "Delete"
    version = claim["metadata"].get("annotations", {}).get(ANNOTATION, "")
    said = f"the volume {claim['metadata']['name']} has {_size(claim)}, and the spec asks for {size}"
    try:
        await _apply(api, platform, claim, owned=owned, version=version, size=size)
    except ApiError as error:
        if error.ending:
            raise
        return [("VolumeNotGrown", f"{said}: {error}")]
    return []


def _size(claim: Manifest) -> str:
    return str(claim["spec"]["resources"]["requests"]["storage"])


async def _apply(api: Api, platform: Platform, claim: Manifest, *, owned: bool, version: str, size: str) -> None:
    """All that is the operator's of a volume: what an apply leaves out is taken away."""
    meta = {"name": claim["metadata"]["name"], "namespace": platform.namespace, "uid": claim["metadata"]["uid"]}
    owners = {"ownerReferences": [{**platform.owner, "controller": False}]} if owned else {}
    told = {"annotations": {ANNOTATION: version}} if version else {}
    spec = {"resources": {"requests": {"storage": size}}}
    about = {"apiVersion": CLAIM[0], "kind": CLAIM[1], "metadata": {**meta, **owners, **told}}
    try:
        await api.apply({**about, "spec": spec}, force=True)
    except ApiError as error:
        if error.status not in _CHANGED or size != _size(claim):
            raise
