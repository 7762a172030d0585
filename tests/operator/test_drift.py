"""What belongs to a platform, of whatever kind, comes back when it is edited or deleted, and soon."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.api import Api, Manifest, kind_of
from tests.cluster.controlplane import ControlPlane, eventually
from tests.operator.platforms import Platforms

# Strimzi's and prometheus-operator's resources, built-in servers and every way in: what one spec can lead to.
SPEC: dict[str, Any] = {
    "postgres": {"mode": "builtin"},
    "exposure": {"mode": "gateway-api", "gateways": [{"name": "edge"}]},
    "services": {"api-gateway": {"autoscaling": {"enabled": True}}, "billing-service": {"replicas": 2}},
}
COMPONENT = "healthcareplatform.io/component"
OURS = "app.kubernetes.io/managed-by"
SOON, AT_LAST = 1.0, 10.0
ON_TIME = 0.95  # of all corrections


@pytest.fixture(scope="module")
def somebody(third_party: ControlPlane) -> Iterator[Api]:
    """Who edits and deletes: no process per call, so that what is timed is the operator."""
    api = Api(third_party, "somebody")
    yield api
    api.close()


@pytest.fixture
def children(platforms: Platforms, somebody: Api) -> list[Manifest]:
    """One object of each kind and component: KafkaTopics, for one, are all alike."""
    platforms.apply(SPEC)
    platforms.ready()
    found = [{**each, "namespace": platforms.namespace} for each in platforms.status()["inventory"]]
    return list({(each["kind"], _labels(somebody, each)[COMPONENT]): each for each in found}.values())


def test_what_is_edited_or_deleted_is_put_back_within_a_second(
    platforms: Platforms, children: list[Manifest], somebody: Api
) -> None:
    kinds = {each["kind"] for each in children}
    assert {"Secret", "ServiceAccount", "Role", "KafkaTopic", "HTTPRoute", "HorizontalPodAutoscaler"} <= kinds
    took = {}
    for each in children:
        who = f"{each['kind']}/{each['name']}"
        took[f"{who} edited"] = _edited(somebody, each)
        took[f"{who} deleted"] = _deleted(somebody, each)
    load = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # what else is on the machine
    late = {what: round(seconds, 2) for what, seconds in took.items() if seconds > SOON * load}
    print(f"{len(took)} corrections, the slowest {max(took.values()):.2f} s, {len(late)} of them late")
    assert len(late) <= (1 - ON_TIME) * len(took), late
    platforms.ready()
    assert platforms.condition("Drifted")["status"] == "False"


def _edited(somebody: Api, each: Manifest) -> float:
    """Seconds until a label that is the operator's is as it was."""
    somebody.merge(*_named(each), {"metadata": {"labels": {OURS: "somebody"}}})
    return _until(lambda: _labels(somebody, each).get(OURS) == "healthcare-operator", f"the label of {each['name']}")


def _deleted(somebody: Api, each: Manifest) -> float:
    uid = _there(somebody, each)["metadata"]["uid"]
    somebody.delete(*_named(each))

    def another() -> bool:
        found = somebody.get(*_named(each))
        return found is not None and found["metadata"]["uid"] != uid

    return _until(another, f"another {each['kind']} {each['name']}")


def _until(look: Any, what: str) -> float:
    started = time.perf_counter()
    eventually(look, what, AT_LAST, every=0.01)
    return time.perf_counter() - started


def _named(each: Manifest) -> tuple[str, str, str]:
    return kind_of(each), each["namespace"], each["name"]


def _there(somebody: Api, each: Manifest) -> Manifest:
    found = somebody.get(*_named(each))
    assert found, each
    return found


def _labels(somebody: Api, each: Manifest) -> dict[str, str]:
    found: dict[str, str] = _there(somebody, each)["metadata"].get("labels", {})
    return found
