"""What the namespace's quotas and limits do to a platform, on a real API server with its own controllers."""

import json

import pytest
from healthcare_operator import refused

from tests.cluster.controlplane import eventually
from tests.operator.platforms import Platforms

pytestmark = pytest.mark.contract("C04")

SERVERS = {"kafka": "KafkaReady", "postgres": "DatabaseReady", "redis": "RedisReady"}


def limits(platforms: Platforms, kind: str, **says: dict[str, str]) -> None:
    """A LimitRange called `bounds`."""
    about = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "bounds"}}
    platforms.cluster.apply({**about, "spec": {"limits": [{"type": kind, **says}]}}, namespace=platforms.namespace)


def says(platforms: Platforms, condition: str, words: str) -> str:
    """Wait until a condition that does not hold has these words; returns all of them."""

    def look() -> str:
        told = platforms.condition(condition)
        return told["message"] if told["status"] == "False" and words in told["message"] else ""

    try:
        found: str = eventually(look, f"{condition}: {words}", 90)
    except AssertionError as error:
        raise AssertionError(f"{error}; status: {json.dumps(platforms.status(), indent=1)[:4000]}") from None
    return found


def test_pods_that_a_quota_refuses_are_told_of_with_its_words(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    platforms.kubectl("create", "quota", "small", "--hard=pods=1")
    platforms.edit({"services": {"billing-service": {"replicas": 3}}})
    told = platforms.holds("ServicesReady", "False")["message"]
    eventually(lambda: "exceeded quota: small" in platforms.condition("ServicesReady")["message"], "its words", 30)
    assert "billing-service" in told
    platforms.kubectl("delete", "quota", "small")
    platforms.edit({"services": {"billing-service": {"replicas": 1}}})
    platforms.ready()


def test_a_server_whose_pod_a_quota_refuses_is_told_of_with_its_words(platforms: Platforms) -> None:
    """No field of a StatefulSet's status says so. What ran without its quota is told of as soon as its pod is gone."""
    platforms.apply()
    platforms.ready()
    platforms.kubectl("create", "quota", "none", "--hard=pods=0")
    names = [f"care-{component}-0" for component in SERVERS]
    platforms.kubectl("delete", "pods", *names, "--grace-period=0", "--force")
    for component, condition in SERVERS.items():
        told = says(platforms, condition, "exceeded quota: none")
        assert told.startswith(f"StatefulSet/care-{component} its pods are refused: ")
    assert "exceeded quota: none" in platforms.condition("Ready")["message"]
    platforms.kubectl("delete", "quota", "none")
    platforms.ready()


def test_a_platform_that_no_quota_leaves_room_for_comes_up_when_there_is_room(platforms: Platforms) -> None:
    platforms.kubectl("create", "quota", "none", "--hard=persistentvolumeclaims=0")
    platforms.apply()
    for condition in SERVERS.values():
        says(platforms, condition, "exceeded quota: none")
    assert platforms.status()["phase"] == "Installing"
    platforms.kubectl("delete", "quota", "none")
    platforms.ready()


def test_a_limit_range_that_refuses_our_containers_is_told_of_with_its_words(platforms: Platforms) -> None:
    limits(platforms, "Container", max={"memory": "64Mi"}, min={"cpu": "2"})
    platforms.apply()
    told = says(platforms, "KafkaReady", "maximum memory usage per Container is 64Mi")
    assert "minimum cpu usage per Container is 2" in told
    platforms.kubectl("delete", "limits", "bounds")
    platforms.ready()


def test_a_limit_range_that_refuses_a_services_pods_is_told_of_with_its_words(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    limits(platforms, "Container", max={"memory": "64Mi"})
    platforms.edit({"services": {"billing-service": {"env": {"LOG_LEVEL": "debug"}}}})
    told = says(platforms, "ServicesReady", "maximum memory usage per Container is 64Mi")
    assert "billing-service" in told
    platforms.kubectl("delete", "limits", "bounds")
    platforms.edit({"services": {"billing-service": {"env": {}}}})
    platforms.ready()


def test_what_a_limit_range_adds_to_pods_is_no_drift(platforms: Platforms) -> None:
    """Defaults are given to pods and not to what they are made from, so nobody takes them back."""
    limits(platforms, "Container", default={"ephemeral-storage": "1Gi"}, defaultRequest={"ephemeral-storage": "10Mi"})
    platforms.apply()
    platforms.ready()
    assert platforms.condition("Drifted")["status"] == "False"
    found = platforms.there("pod", "care-kafka-0")["spec"]["containers"][0]["resources"]
    assert found["limits"]["ephemeral-storage"] == "1Gi"
    assert found["limits"]["memory"] != "1Gi", "what the chart says stays"


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([], ""),
        ([("FailedCreate", "10:00:01", "quota")], "quota"),
        ([("FailedCreate", "10:00:01", "quota"), ("SuccessfulCreate", "10:00:02", "made")], ""),
        ([("FailedCreate", "10:00:02", "quota"), ("SuccessfulCreate", "10:00:02", "made")], ""),
        ([("FailedCreate", "10:00:03", "limit"), ("SuccessfulCreate", "10:00:02", "made")], "limit"),
        ([("FailedCreate", "10:00:01", "one"), ("FailedCreate", "10:00:02", "two")], "two"),
        ([("RecreatingFailedPod", "10:00:01", "again")], ""),
    ],
)
def test_of_what_a_controller_said_the_last_word_counts(events: list[tuple[str, str, str]], said: str) -> None:
    told = [
        {"reason": reason, "lastTimestamp": f"2026-01-02T{at}Z", "message": message} for reason, at, message in events
    ]
    assert refused.cause(told) == said
