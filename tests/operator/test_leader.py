"""Two operators: one works, the other one waits, and takes over from one that is killed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.components import fetch
from tests.cluster.controlplane import eventually
from tests.operator.platforms import Platforms
from tests.operator.process import LEASE_SECONDS, Operator

LEADER = "healthcare_operator_leader"


@pytest.fixture
def second(operator: Operator, tmp_path: Path) -> Iterator[Operator]:
    """Another process of the same installation, waiting."""
    other = Operator(operator.cluster, tmp_path / "second")
    other.namespace = operator.namespace
    other.directory.mkdir()
    shutil.copy(operator.directory / "kubeconfig", other.directory / "kubeconfig")
    other.launch()
    try:
        eventually(lambda: '"UP"' in fetch(f"http://127.0.0.1:{other.port}/healthz"), "an operator that waits", 60)
        yield other
    finally:
        other.kill()
        operator.start()


def test_the_second_operator_waits_and_takes_over_from_one_that_is_killed(
    platforms: Platforms, operator: Operator, second: Operator
) -> None:
    platforms.apply()
    platforms.ready()
    assert (operator.metric(LEADER), second.metric(LEADER)) == (1, 0)
    assert second.metric("healthcare_operator_reconciles_total") == 0
    operator.kill()
    platforms.kubectl("scale", "deployment/care-api-gateway", "--replicas=3")
    eventually(lambda: second.metric(LEADER) == 1, "another leader", LEASE_SECONDS * 5)

    def put_back() -> bool:
        return bool(platforms.there("deployment", "care-api-gateway")["spec"]["replicas"] == 1)

    eventually(put_back, "what was changed in between", 20)
