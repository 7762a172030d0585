"""One operator for all tests of a session, each in a namespace of its own."""

from collections.abc import Iterator

import pytest
from healthcare_operator import crd

from tests.cluster.controlplane import ControlPlane
from tests.cluster.standin.loop import StandIn
from tests.operator.platforms import Platforms
from tests.operator.pods import Pods
from tests.operator.process import Operator


@pytest.fixture(scope="session")
def defined(cluster: ControlPlane) -> ControlPlane:
    """The cluster, with the definition."""
    cluster.apply(crd.definition())
    cluster.established(["healthcareplatforms.healthcareplatform.io"])
    return cluster


@pytest.fixture(scope="session")
def operator(
    third_party: ControlPlane, standin: StandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """The operator, running; the operators of others and the kubelet are played."""
    pods = Pods(third_party)
    process = Operator(third_party, tmp_path_factory.mktemp("operator"))
    pods.start()
    try:
        process.start()
        yield process
        assert process.denied() == [], "of all that these tests asked of the operator"
    finally:
        process.kill()
        pods.stop()


@pytest.fixture
def platforms(operator: Operator, standin: StandIn, namespace: str) -> Platforms:
    """Platforms in the test's own namespace."""
    operator.start()
    return Platforms(operator.cluster, namespace)
