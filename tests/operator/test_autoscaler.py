"""The number of pods, where somebody else decides it: nothing of the operator's fights that, not even in passing."""

from typing import Any

import pytest

from tests.cluster.controlplane import eventually
from tests.operator.platforms import BUILTIN, Platforms
from tests.operator.process import Operator
from tests.operator.test_deletion import NO_SERVICES

pytestmark = pytest.mark.contract("Z08")

GATEWAY = ("deployment", "care-api-gateway")


def spec(**gateway: Any) -> dict[str, Any]:
    """A platform of one service."""
    return {**BUILTIN, "services": {**NO_SERVICES, "api-gateway": {"replicas": 3, **gateway}}}


def replicas(platforms: Platforms) -> int:
    return int(platforms.there(*GATEWAY)["spec"]["replicas"])


def passes_over(platforms: Platforms, operator: Operator) -> None:
    """Wait for two more passes, with something changed beside the number of pods."""
    before = operator.metric("healthcare_operator_reconciles_total")
    platforms.kubectl("annotate", "hcp", "care", f"touched={before:.0f}", "--overwrite")
    eventually(lambda: operator.metric("healthcare_operator_reconciles_total") > before, "another pass", 40)


def test_an_autoscaler_of_the_users_own_is_not_fought(platforms: Platforms, operator: Operator) -> None:
    """KEDA, say, or a HorizontalPodAutoscaler of theirs: it changes the number as often as it likes."""
    platforms.apply(spec())
    platforms.ready()
    generation = platforms.there(*GATEWAY)["metadata"]["generation"]
    platforms.apply(spec(autoscaling={"external": True}))
    platforms.ready()
    passes_over(platforms, operator)
    found = platforms.there(*GATEWAY)
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (3, generation), "it did not change once"
    for number in (1, 5, 2, 6, 4):
        platforms.kubectl("scale", "/".join(GATEWAY), f"--replicas={number}")
        passes_over(platforms, operator)
        assert replicas(platforms) == number
        assert platforms.condition("Drifted")["status"] == "False"
    platforms.apply(spec())
    eventually(lambda: replicas(platforms) == 3, "the number that the spec asks for", 30)


def test_an_autoscaler_takes_over_the_pods_as_they_are_and_gives_them_back(
    platforms: Platforms, operator: Operator
) -> None:
    platforms.apply(spec())
    platforms.ready()
    generation = platforms.there(*GATEWAY)["metadata"]["generation"]
    platforms.apply(spec(autoscaling={"enabled": True, "minReplicas": 2, "maxReplicas": 9}))
    eventually(lambda: platforms.get("hpa", "care-api-gateway"), "an autoscaler", 30)
    platforms.ready()
    found = platforms.there(*GATEWAY)
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (3, generation), "it did not change once"
    platforms.kubectl("scale", "/".join(GATEWAY), "--replicas=5")
    passes_over(platforms, operator)
    assert replicas(platforms) == 5
    assert platforms.condition("Drifted")["status"] == "False"
    platforms.apply(spec())
    eventually(lambda: replicas(platforms) == 3, "the number that the spec asks for", 30)
    platforms.ready()
    assert platforms.condition("Drifted")["status"] == "False"
