"""A node with the project's images, and platforms on it. Root, or the tests say why they cannot run, and fail."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hpctl.layout import ROOT

from tests.cluster import charts
from tests.cluster.node import images
from tests.cluster.node.machine import NoNode
from tests.cluster.node.node import NodeCluster, node_cluster
from tests.cluster.node.platform import Platform, bring_up
from tests.cluster.pods.care import NAME, Care

HERE = Path(__file__).parent
Took = Callable[[str], None]
MINUTES = 30  # the first test of a fresh machine builds Kubernetes and every image
MEASURED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MEASURED] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[MEASURED]:
        terminalreporter.section("node")
        terminalreporter.line(", ".join(config.stash[MEASURED]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.timeout(MINUTES * 60))
        if os.environ.get("SKIP_CLUSTER") == "1":
            item.add_marker(pytest.mark.skip(reason="SKIP_CLUSTER=1 asks for it"))


@pytest.fixture(scope="session")
def took(request: pytest.FixtureRequest) -> Took:
    began = time.monotonic()

    def note(what: str) -> None:
        """How long it took since the last note."""
        nonlocal began
        request.config.stash[MEASURED].append(f"{what}: {time.monotonic() - began:.0f} s")
        began = time.monotonic()

    return note


@pytest.fixture(scope="session")
def node(took: Took, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    archive = tmp_path_factory.mktemp("images") / "images.tar"
    try:
        with node_cluster() as cluster:
            took("node up")
            images.archive(archive)
            took("images built")
            cluster.load(archive)
            took("images loaded")
            archive.unlink()
            yield cluster
    except NoNode as reason:
        pytest.fail(f"{reason} (SKIP_CLUSTER=1 leaves these tests out)", pytrace=False)


@pytest.fixture(scope="module")
def platform(node: NodeCluster) -> Platform:
    """By the charts alone. It goes with its node."""
    return bring_up(node, node.namespace("care"))


@pytest.fixture(scope="module")
def care(node: NodeCluster) -> Iterator[Care]:
    """The laptop sample, Ready, with nothing installed beforehand but the operator's chart."""
    system = node.namespace("operator")
    node.apply(*charts.render("healthcare-operator", system), namespace=system)
    node.kubectl("rollout", "status", "deployment/healthcare-operator", "-n", system, "--timeout=180s", timeout=200)
    namespace = node.namespace("laptop")
    node.kubectl("apply", "--namespace", namespace, "--filename", str(ROOT / "k8s/samples/laptop.yaml"))
    platform = Care(node, namespace, prefix=f"{NAME}-")
    platform.holds("Ready", 600)
    yield platform
    # Two cores have no room for two platforms' requests; nobody waits for the end of the rest.
    node.kubectl("delete", "hcp", "--all", "--namespace", namespace, "--timeout=120s", timeout=140)
    node.kubectl("delete", "namespace", namespace, system, "--wait=false")
