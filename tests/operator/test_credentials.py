"""What a pods' template tells of the credentials that its pods start with: that they changed, and nothing else."""

import base64
from typing import Any

from healthcare_operator import secrets
from healthcare_operator.helm import Charts
from healthcare_operator.platform import Manifest, Platform
from healthcare_operator.render import components
from healthcare_operator.rotation import ANNOTATION, stamped
from healthcare_operator.settings import Settings
from healthcare_operator.spec import Spec

from tests.operator.platforms import BUILTIN

CHOSEN = base64.b64encode(b"hunter2").decode()
PLATFORM = Platform("care", "here", "uid", 1, Spec.model_validate(BUILTIN))


def kept(existing: dict[str, Manifest]) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in secrets.manifests(PLATFORM, existing)}


def told(existing: dict[str, Manifest], service: str = "billing-service") -> str:
    """The digest in a Deployment's template."""
    rendered: dict[str, list[Any]] = components(PLATFORM, Charts(Settings().charts_dir))
    [found] = [each for each in stamped(rendered, [*existing.values()])[service] if each["kind"] == "Deployment"]
    return str(found["spec"]["template"]["metadata"]["annotations"][ANNOTATION])


def test_a_digest_changes_with_its_secret_alone() -> None:
    first = kept({})
    assert told(kept(first)) == told(first)
    other = first | {"care-patient-service-db": kept({})["care-patient-service-db"]}
    assert told(other) == told(first)
    assert told(other, "patient-service") != told(first, "patient-service")


def test_a_password_that_a_person_chose_cannot_be_guessed_from_it() -> None:
    """The same password in two platforms leads to two digests: each has a salt that only its Secret holds."""
    digests = set()
    for found in (kept({}), kept({})):
        for secret in found.values():
            secret["data"] |= {"password": CHOSEN} if "password" in secret["data"] else {}
        assert kept(found)["care-billing-service-db"]["data"]["password"] == CHOSEN
        digests.add(told({"care-billing-service-db": found["care-billing-service-db"]}))
    assert len(digests) == 2
