"""Pytest's door to Kubernetes: `cluster` is a control plane on which every suite of a session works."""

from collections.abc import Iterator

import pytest

from tests.cluster import crds
from tests.cluster.controlplane import ControlPlane
from tests.cluster.standin.loop import StandIn


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd, API server, controller manager and scheduler; each test works in a namespace of its own."""
    plane = ControlPlane(tmp_path_factory.mktemp("cluster"))
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def namespace(cluster: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own, which it leaves behind to be deleted."""
    name = cluster.namespace()
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def third_party(cluster: ControlPlane) -> ControlPlane:
    """The cluster with the resource definitions of Strimzi, CloudNativePG, prometheus-operator and Gateway API."""
    crds.install(cluster)
    return cluster


@pytest.fixture(scope="session")
def standin(third_party: ControlPlane) -> Iterator[StandIn]:
    """Their operators, played; `behave(kind, "failing", namespace)` makes trouble in a test's own namespace."""
    operators = StandIn(third_party)
    operators.start()
    yield operators
    operators.stop()
    assert not operators.problems, operators.problems
