"""A node with the project's images, and platforms on it. Where there can be none, one line says why."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hpctl.layout import ROOT

from tests.cluster.helm import Helm
from tests.cluster.node.choice import a_node, chosen
from tests.cluster.node.machine import NoNode
from tests.cluster.node.node import Node
from tests.cluster.pods.care import LAPTOP, NAME, Care
from tests.cluster.pods.platform import Platform, bring_up

HERE = Path(__file__).parent
Took = Callable[[str], None]
MINUTES = 30  # the first test of a fresh machine builds Kubernetes and every image
OPERATOR = "healthcare-operator"
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
def node(took: Took) -> Iterator[Node]:
    try:
        with a_node() as cluster:
            took(f"{chosen()} node up")
            cluster.provide()
            took("images on it")
            yield cluster
    except NoNode as reason:
        pytest.exit(f"{reason} (SKIP_CLUSTER=1 leaves these tests out)", returncode=1)


@pytest.fixture(scope="module")
def platform(node: Node) -> Platform:
    """By the charts alone. It goes with its node."""
    return bring_up(node, node.namespace("care"))


@pytest.fixture(scope="module")
def care(node: Node) -> Iterator[Care]:
    """The laptop sample, Ready: applied as the operator's notes say, with nothing there beforehand but its chart."""
    system, namespace = node.namespace("operator"), node.namespace("laptop")
    helm = Helm(node, system, home=namespace)
    helm.install(OPERATOR, OPERATOR)
    assert f"kubectl apply -f {LAPTOP.relative_to(ROOT)}" in helm.follow(OPERATOR)
    helm.test(OPERATOR)
    platform = Care(node, namespace, prefix=f"{NAME}-")
    platform.holds("Ready", 600)
    yield platform
    # Two cores have no room for two platforms' requests; nobody waits for the end of the rest.
    node.kubectl("delete", "hcp", "--all", "--namespace", namespace, "--timeout=120s", timeout=140)
    node.kubectl("delete", "namespace", namespace, system, "--wait=false")
