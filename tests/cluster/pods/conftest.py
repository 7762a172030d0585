"""A node with the project's images, and the platform on it. Root, or the tests say why they cannot run, and fail."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.node import images
from tests.cluster.node.machine import NoNode
from tests.cluster.node.node import NodeCluster, node_cluster
from tests.cluster.node.platform import Platform, bring_up

HERE = Path(__file__).parent
MINUTES = 30  # the first test of a fresh machine builds Kubernetes and every image


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.timeout(MINUTES * 60))
        if os.environ.get("SKIP_CLUSTER") == "1":
            item.add_marker(pytest.mark.skip(reason="SKIP_CLUSTER=1 asks for it"))


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeCluster]:
    archive = tmp_path_factory.mktemp("images") / "images.tar"
    try:
        with node_cluster() as cluster:
            images.archive(archive)
            cluster.load(archive)
            archive.unlink()
            yield cluster
    except NoNode as reason:
        pytest.fail(f"{reason} (SKIP_CLUSTER=1 leaves these tests out)", pytrace=False)


@pytest.fixture(scope="module")
def platform(node: NodeCluster) -> Iterator[Platform]:
    """By the charts alone. It goes before the next module's: two cores have no room for two platforms' requests."""
    running = bring_up(node, node.namespace("care"))
    yield running
    node.kubectl("delete", "namespace", running.namespace, "--timeout=180s", timeout=200)
