"""Data that an earlier platform of the same name left behind, and a spec that does not fit it; pure.

The API server compares a change with what was before, and a new platform with nothing: what is kept is compared here.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from healthcare_operator import kafka_version
from healthcare_operator.crd import GROUP
from healthcare_operator.platform import COMPONENT, Manifest, Ref
from healthcare_operator.quantity import number
from healthcare_operator.readiness import ready

ANNOTATION = f"{GROUP}/data-version"
"""On the volume of a built-in server: the version whose files it has."""

_MAJOR = re.compile(r":v?(\d+)[^:/]*$")


class Unfit(Exception):
    """What is kept cannot become what the spec asks for."""


def check(wanted: Mapping[str, Sequence[Manifest]], observed: Mapping[Ref, Manifest], known: Collection[Ref]) -> None:
    """Compares volumes, and those objects that are not `known` as this platform's own yet.

    Raises:
        Unfit.
    """
    for component, manifests in wanted.items():
        for manifest in manifests:
            live = observed.get(Ref.of(manifest))
            found = _kept(manifest, live) if live and Ref.of(manifest) not in known else iter(())
            for said in (*found, *_volumes(component, manifest, observed.values())):
                raise Unfit(said)


def data_version(component: str, stateful_set: Manifest) -> str:
    """The version whose files a built-in server writes, as far as it matters to the next one; empty otherwise."""
    image = str(stateful_set["spec"]["template"]["spec"]["containers"][0]["image"])
    if component == "postgres":
        found = _MAJOR.search(image.partition("@")[0])
        return found[1] if found else ""
    return kafka_version.minor(image) if component == "kafka" else ""


def written(component: str, live: Manifest | None) -> str:
    """The same of a server that runs; empty until it is ready, since only then its files are of that version."""
    return data_version(component, live) if live and ready(live)[0] else ""


def _kept(manifest: Manifest, live: Manifest) -> Iterator[str]:
    """What an object of another operator, kept from before, cannot become."""
    if manifest["kind"] not in ("Cluster", "KafkaNodePool"):
        return
    spec, was, who = manifest["spec"], live["spec"], Ref.of(manifest)
    if manifest["kind"] == "Cluster":
        before, after = (_MAJOR.search(each.get("imageName", "").partition("@")[0]) for each in (was, spec))
        if before and after and int(after[1]) < int(before[1]):
            yield f"PostgreSQL cannot go back from {before[1]} to {after[1]}: {who} is kept and has data of {before[1]}"
        yield from _smaller(who, was["storage"].get("size"), spec["storage"]["size"])
    else:
        if spec["replicas"] < was["replicas"]:
            yield f"kafka.replicas cannot be {spec['replicas']}: {who} is kept and has {was['replicas']}"
        for one, other in zip(was["storage"].get("volumes", []), spec["storage"]["volumes"], strict=False):
            yield from _smaller(who, one.get("size"), other["size"])


def _smaller(who: Ref, before: str | None, after: str) -> Iterator[str]:
    if before and number(after) < number(before):
        yield f"a volume cannot be made smaller: {who} is kept and has {before}, the spec asks for {after}"


def _volumes(component: str, manifest: Manifest, observed: Iterable[Manifest]) -> Iterator[str]:
    after = data_version(component, manifest) if manifest["kind"] == "StatefulSet" else ""
    for claim in observed if after else ():
        meta = claim["metadata"]
        ours = claim["kind"] == "PersistentVolumeClaim" and meta.get("labels", {}).get(COMPONENT) == component
        before = meta.get("annotations", {}).get(ANNOTATION, "") if ours else ""
        who = f"the volume {meta['name']} is kept and has its files"
        if before and component == "postgres" and before != after:
            yield f"the built-in PostgreSQL {before} cannot become {after}: {who}"
        if before and component == "kafka" and kafka_version.older(after, before):
            yield f"the built-in Kafka cannot go back from {before} to {after}: {who}"
