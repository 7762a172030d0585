"""A spec that an older or newer definition let through: told in one sentence, and nothing is forgotten over it."""

from typing import Any

import pytest
from healthcare_operator.api import Api
from healthcare_operator.helm import Charts
from healthcare_operator.platform import Manifest, Ref
from healthcare_operator.reconcile import Reconciler
from healthcare_operator.settings import Settings

IMAGES = {"billing-service": "billing-service:one"}
BEFORE: Manifest = {
    "version": {"images": IMAGES, "lastSuccessfulImages": IMAGES, "since": "7.0"},
    "inventory": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "care-billing-service"}],
}


class OneResource(Api):
    """An API server that holds one resource, as no definition of ours would let it in."""

    def __init__(self, found: Manifest) -> None:
        self.found = found
        self.told: Manifest = {}

    async def get(self, ref: Ref) -> Manifest | None:
        return self.found

    async def apply(self, manifest: Manifest, *, force: bool, subresource: str = "") -> Manifest:
        assert subresource == "/status", "the running platform is left as it is"
        self.told = manifest["status"]
        return manifest

    async def create(self, manifest: Manifest) -> Manifest:
        return manifest


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"colour": "red"}, "spec.colour: Extra inputs are not permitted."),
        ({"kafka": {"config": {"listeners": "x"}}}, "kafka.config.listeners is managed by Strimzi and cannot be set."),
        (
            {"redis": {"values": {"mode": "x"}}},
            "redis.values.mode is what the operator itself says and cannot be given.",
        ),
    ],
)
async def test_a_spec_that_cannot_be_read_or_cannot_work_forgets_nothing(spec: dict[str, Any], said: str) -> None:
    meta = {"name": "care", "namespace": "here", "uid": "u", "generation": 2, "resourceVersion": "5"}
    kind = {"apiVersion": "healthcareplatform.io/v1alpha1", "kind": "HealthcarePlatform"}
    api = OneResource({**kind, "metadata": meta, "spec": spec, "status": BEFORE})
    await Reconciler(api, Charts(Settings().charts_dir), 60).reconcile(("here", "care"))
    stalled = next(each for each in api.told["conditions"] if each["type"] == "Stalled")
    assert (stalled["status"], stalled["message"]) == ("True", said)
    assert api.told["inventory"] == BEFORE["inventory"]
    assert api.told["version"]["lastSuccessfulImages"] == IMAGES
