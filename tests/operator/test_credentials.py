"""What a pods' template tells of the credentials that its pods start with: that they changed, and nothing else."""

import base64
import json
from typing import Any

from healthcare_operator import secrets
from healthcare_operator.api import Api
from healthcare_operator.apply import Memory, carry_out
from healthcare_operator.connection import Connection
from healthcare_operator.helm import Charts
from healthcare_operator.plan import Apply, Plan
from healthcare_operator.platform import Manifest, Platform, Ref
from healthcare_operator.render import components
from healthcare_operator.rotation import ANNOTATION, stamped
from healthcare_operator.settings import Settings
from healthcare_operator.spec import Spec
from kubernetes.aio import config

from tests.cluster.controlplane import ControlPlane, eventually
from tests.operator.platforms import BUILTIN, Platforms

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


async def test_a_secret_that_changed_since_it_was_looked_at_is_left(cluster: ControlPlane, namespace: str) -> None:
    await config.load_kube_config(str(cluster.kubeconfig))
    secret = secrets.manifests(Platform("care", namespace, "uid", 1, PLATFORM.spec), {})[0]
    name, ref, memory, api = secret["metadata"]["name"], Ref.of(secret), Memory(), Api(Connection())
    try:
        made = await carry_out(api, Plan([Apply("credentials", secret, "create")]), memory)
        version = made.live[ref]["metadata"]["resourceVersion"]
        patch = json.dumps({"data": {"password": CHOSEN}})
        cluster.kubectl("patch", "secret", name, "--namespace", namespace, "--patch", patch)
        late = await carry_out(api, Plan([Apply("credentials", secret, "drift", version)]), memory)
    finally:
        await api.close()
    assert (late.errors, late.live) == ([], {})
    found = cluster.get("secret", name, namespace)
    assert found
    assert found["data"]["password"] == CHOSEN


def test_a_password_is_taken_over_whatever_the_operator_is_at(platforms: Platforms) -> None:
    """Each comes while the pods are replaced that start with the one before."""
    platforms.apply()
    platforms.ready()
    billing, secret = "deployment/care-billing-service", "care-billing-service-db"
    for number in range(10):
        before = platforms.annotations(billing)
        chosen = base64.b64encode(f"chosen {number}".encode()).decode()
        patch = json.dumps({"data": {"password": chosen}})
        platforms.kubectl("patch", "secret", secret, "--patch", patch)
        eventually(lambda before=before: platforms.annotations(billing) != before, "other pods", 60, every=0.01)
        assert platforms.there("secret", secret)["data"]["password"] == chosen
    platforms.ready()
