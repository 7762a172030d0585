"""What is there: everything of one platform that a pass looks at before it decides."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from healthcare_operator import refused, sharing, validation
from healthcare_operator.api import Api
from healthcare_operator.crd import KIND
from healthcare_operator.errors import ApiError, NotServed
from healthcare_operator.platform import API_VERSION, PLATFORM, Manifest, Platform, Ref
from healthcare_operator.sharing import Key, Ledger, Stores
from healthcare_operator.spec import Spec

Kind = tuple[str, str]
"""API version and kind."""

SECRET: Kind = ("v1", "Secret")
CLAIM: Kind = ("v1", "PersistentVolumeClaim")

PROMETHEUS = "operator.prometheus.io/name"
"""A label of the volumes of a Prometheus that prometheus-operator made, none of which carries the platform's."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What is there. `unserved` are kinds without a definition, `unread` those that could not be listed, and why."""

    objects: dict[Ref, Manifest]
    unserved: frozenset[Kind]
    unread: dict[Kind, str]


async def objects(api: Api, platform: Platform, of_interest: Iterable[Ref], secrets: Iterable[Manifest]) -> Observed:
    """Everything that carries the platform's label, by one list of each kind.

    `secrets` were looked at before: what they have to be follows from that look, and is compared with it.
    """
    refs = list(of_interest)
    kinds = sorted({CLAIM, *((ref.api_version, ref.kind) for ref in refs)} - {SECRET})
    asked = [(kind, f"{PLATFORM}={platform.name}") for kind in kinds]
    asked += [(CLAIM, f"{PROMETHEUS}={name}") for name in {ref.name for ref in refs if ref.kind == "Prometheus"}]
    unserved: set[Kind] = set()
    unread: dict[Kind, str] = {}

    async def listed(kind: Kind, selector: str) -> list[Manifest]:
        try:
            return await api.list(*kind, platform.namespace, selector)
        except NotServed:
            unserved.add(kind)
        except ApiError as error:
            if error.ending:
                raise
            unread[kind] = f"{kind[1]} ({kind[0]}) cannot be read: {error}"
        return []

    answers = await asyncio.gather(*(listed(*each) for each in asked))
    found = {Ref.of(each): each for answer in (*answers, secrets) for each in answer}
    return Observed(found, frozenset(unserved), unread)


async def own_secrets(api: Api, platform: Platform) -> dict[str, Manifest]:
    """The Secrets that were made for it, by name."""
    found = await api.list(*SECRET, platform.namespace, f"{PLATFORM}={platform.name}")
    return {each["metadata"]["name"]: each for each in found}


async def referenced(api: Api, platform: Platform) -> dict[str, Manifest]:
    """The Secrets of others that its spec names and that are there, by name."""
    names = list(validation.referenced(platform))
    found = await asyncio.gather(*(api.get(Ref("v1", "Secret", platform.namespace, name)) for name in names))
    return {name: secret for name, secret in zip(names, found, strict=True) if secret is not None}


async def refusals(api: Api, platform: Platform, live: Iterable[Manifest]) -> dict[Ref, str]:
    """By StatefulSet that lacks a pod, why it may not have it, as far as that is told yet."""
    short = [each for each in live if refused.short(each)]

    async def told(owner: Manifest) -> str:
        of = f"involvedObject.uid={owner['metadata']['uid']}"
        try:
            return refused.cause(await api.list("v1", "Event", platform.namespace, fields=of))
        except ApiError:
            return ""  # what only explains something may not keep a pass from its end

    words = await asyncio.gather(*(told(each) for each in short))
    return dict(zip(map(Ref.of, short), words, strict=True))


async def pods(api: Api, platform: Platform) -> list[Manifest]:
    """Its pods, for what the kubelet says of them; none where that cannot be read."""
    try:
        return await api.list("v1", "Pod", platform.namespace, f"{PLATFORM}={platform.name}")
    except ApiError:
        return []


class Neighbours:
    """The other platforms, for what they keep on servers of others; each pass keeps its own entry up to date."""

    def __init__(self, api: Api, within: str | None) -> None:
        self._api = api
        self._within = within
        self._one_at_a_time = asyncio.Lock()
        self.ledger = Ledger()

    async def rival(self, found: Manifest, stores: Stores) -> str | None:
        """What an older platform has of `stores`, as a sentence; asks for all platforms only when these are new."""
        key = _key(found)
        known = self.ledger.stores.get(key)
        self.ledger.note(key, _age(found), stores)
        if stores and known != stores:
            async with self._one_at_a_time:
                await self._survey()
        while shared := self.ledger.rival(key):
            other = await self._api.get(Ref(API_VERSION, KIND, *shared[0]))
            if other and "deletionTimestamp" not in other["metadata"]:
                return sharing.fault(*shared)
            self.ledger.forget(shared[0])
        return None

    async def _survey(self) -> None:
        """Notes the platforms that had no pass yet: the order of passes must not decide who is the older one."""
        for each in await self._api.list(API_VERSION, KIND, self._within):
            if _key(each) not in self.ledger.stores:
                kept = await self._stores(each)
                if _key(each) not in self.ledger.stores:  # by a pass of its own in the meantime
                    self.ledger.note(_key(each), _age(each), kept)

    async def _stores(self, found: Manifest) -> Stores:
        meta = found["metadata"]
        try:
            spec = Spec.model_validate(found.get("spec") or {})
        except ValidationError:
            return frozenset()
        platform = Platform(meta["name"], meta["namespace"], meta["uid"], meta["generation"], spec)
        return sharing.stores(platform, await referenced(self._api, platform))


def _key(found: Manifest) -> Key:
    return found["metadata"]["namespace"], found["metadata"]["name"]


def _age(found: Manifest) -> str:
    return str(found["metadata"].get("creationTimestamp", ""))
