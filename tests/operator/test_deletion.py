"""Deleting platforms, again and again, with servers that die before they take their own finalizers: each ends."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.controlplane import ControlPlane, eventually
from tests.cluster.standin.loop import StandIn
from tests.operator.platforms import BUILTIN, Platforms
from tests.operator.process import Operator

pytestmark = pytest.mark.contract("Z08")

NO_SERVICES = {
    name: {"enabled": False}
    for name in (
        "api-gateway",
        "auth-service",
        "billing-service",
        "patient-service",
        "appointment-service",
        "analytics-service",
    )
}
OPERATORS: dict[str, Any] = {"redis": {"mode": "disabled"}}
MODES: dict[str, dict[str, Any]] = {
    "operators": {**OPERATORS, "services": NO_SERVICES},
    "builtin": {**BUILTIN, "monitoring": {"mode": "builtin"}, "services": NO_SERVICES},
    "mixed": {"postgres": {"mode": "builtin"}, "services": NO_SERVICES},
}
ROUNDS = int(os.environ.get("DELETIONS", "6"))
"""Each mode with each policy once; more are more of the same."""

DATA = ("kafkas", "kafkanodepools", "kafkatopics", "clusters.postgresql.cnpg.io", "databases.postgresql.cnpg.io")
EVERYTHING = (*DATA, "kafkausers", "secrets", "configmaps", "services", "statefulsets", "deployments", "prometheuses")
OTHERS = {"kube-root-ca.crt", "care-kafka-cluster-ca-cert"}
"""Kubernetes' own, and one that goes with its Kafka."""


@pytest.fixture
def clinging(standin: StandIn) -> Iterator[StandIn]:
    """A topic operator as the release before has set it up, which dies with its Kafka; CloudNativePG dies as well."""
    for kind in ("KafkaTopic", "Database"):
        standin.behave(kind, "clinging")
    yield standin
    for kind in ("KafkaTopic", "Database"):
        standin.behave(kind, "ready")


def rounds(cluster: ControlPlane, count: int) -> list[tuple[Platforms, str, str]]:
    """Namespaces, each with a mode and a policy."""
    every = [(mode, policy) for policy in ("Delete", "Retain") for mode in MODES]
    chosen = [every[number % len(every)] for number in range(count)]
    return [(Platforms(cluster, cluster.namespace("end")), *each) for each in chosen]


def there(platforms: Platforms, kinds: tuple[str, ...]) -> set[str]:
    """What is in a namespace, as kind/name."""
    found = [(kind, each) for kind in kinds for each in platforms.cluster.list(kind, platforms.namespace)]
    names = {f"{kind}/{each['metadata']['name']}" for kind, each in found}
    return {name for name in names if name.partition("/")[2] not in OTHERS}


def volumes(platforms: Platforms) -> set[str]:
    found = platforms.cluster.list("persistentvolumeclaims", platforms.namespace)
    return {each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]}


@pytest.mark.timeout(600)
def test_deletions_of_all_modes_come_to_their_end(operator: Operator, clinging: StandIn) -> None:
    operator.start()
    all_of_them = rounds(operator.cluster, ROUNDS)
    for platforms, mode, policy in all_of_them:
        platforms.apply({**MODES[mode], "deletionPolicy": policy})
    before = {}
    for platforms, mode, _ in all_of_them:
        platforms.ready()
        if mode != "builtin":
            eventually(lambda p=platforms: _held(p), "topics with a finalizer", 30)
        before[platforms.namespace] = (there(platforms, (*DATA, "secrets")), volumes(platforms))
        assert volumes(platforms), mode
    for platforms, _, _ in all_of_them:
        platforms.kubectl("delete", "hcp", "care", "--timeout=60s")
    for platforms, mode, policy in all_of_them:
        data, claims = before[platforms.namespace]
        if policy == "Delete":
            eventually(lambda p=platforms: not there(p, EVERYTHING), f"end of all of {mode}", 60)
            eventually(lambda p=platforms: not _claims(p), f"end of the volumes of {mode}", 60)
        else:
            eventually(lambda p=platforms: not p.children(), "end of what holds no data", 60)
            kept = there(platforms, (*DATA, "secrets"))
            assert {each for each in data if not _goes(each)} <= kept, mode
            assert claims <= volumes(platforms)  # a controller may have made one late
    for platforms, _, _ in all_of_them:
        platforms.cluster.kubectl("delete", "namespace", platforms.namespace, "--wait=false")
    for platforms, mode, policy in all_of_them:
        gone = (platforms.namespace, f"end of the namespace of {mode} with {policy}", 90)
        eventually(lambda p=gone[0]: operator.cluster.get("namespace", p) is None, *gone[1:])


def _held(platforms: Platforms) -> bool:
    topics = platforms.cluster.list("kafkatopics", platforms.namespace)
    return bool(topics) and all(each["metadata"].get("finalizers") for each in topics)


def _claims(platforms: Platforms) -> list[Any]:
    return platforms.cluster.list("persistentvolumeclaims", platforms.namespace)


def _goes(name: str) -> bool:
    """What holds no data goes with its platform: a chart's own configuration, such as Alertmanager's."""
    return "monitoring" in name or "alertmanager" in name


def test_topics_of_this_release_have_no_finalizer(platforms: Platforms, standin: StandIn) -> None:
    """Those of the release before lose theirs when their topic operator starts anew with its new environment."""
    standin.behave("KafkaTopic", "clinging", platforms.namespace)
    platforms.apply(MODES["operators"])
    platforms.ready()
    eventually(lambda: _held(platforms), "topics with a finalizer", 30)
    standin.behave("KafkaTopic", "ready", platforms.namespace)

    def free() -> bool:
        topics = platforms.cluster.list("kafkatopics", platforms.namespace)
        return not any(each["metadata"].get("finalizers") for each in topics)

    eventually(free, "topics without a finalizer", 30)


@pytest.mark.parametrize("after", [0.0, 0.3, 1.0])
def test_a_platform_that_is_deleted_while_it_comes_up_leaves_nothing(platforms: Platforms, after: float) -> None:
    platforms.apply({**MODES["builtin"], "deletionPolicy": "Delete"})
    if after:
        eventually(lambda: platforms.get("statefulset", "care-postgres"), "a server", 30, every=0.02)
    if after > 0.5:
        eventually(lambda: volumes(platforms), "a volume", 30)
    platforms.kubectl("delete", "hcp", "care", "--timeout=60s")
    eventually(lambda: not platforms.children(), "end of everything", 60)
    eventually(lambda: not _claims(platforms), "end of volumes", 60)
