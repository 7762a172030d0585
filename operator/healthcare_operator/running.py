"""Whether the services run, and which images; pure."""

from collections.abc import Iterable, Mapping, Sequence

from healthcare_operator.platform import Manifest, Ref
from healthcare_operator.readiness import ready
from healthcare_operator.spec import SERVICES

Wanted = Mapping[str, Sequence[Manifest]]


def every(wanted: Wanted) -> Iterable[Manifest]:
    """The objects of all components."""
    return (each for manifests in wanted.values() for each in manifests)


def running(wanted: Wanted, observed: Mapping[Ref, Manifest]) -> bool:
    """Whether every service is ready."""
    return all(ready(observed.get(Ref.of(each)))[0] for each in _deployments(wanted))


def with_images(wanted: Wanted, observed: Mapping[Ref, Manifest]) -> bool:
    """Whether every service has the image that it should have."""

    def image(manifest: Manifest) -> str:
        return str(manifest["spec"]["template"]["spec"]["containers"][0]["image"])

    found = [(each, observed.get(Ref.of(each))) for each in _deployments(wanted)]
    return all(live is not None and image(live) == image(each) for each, live in found)


def _deployments(wanted: Wanted) -> list[Manifest]:
    return [each for service in SERVICES for each in wanted.get(service, []) if each["kind"] == "Deployment"]
