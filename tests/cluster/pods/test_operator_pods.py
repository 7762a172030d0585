"""One resource brings up the platform in real pods: `kubectl apply -f k8s/samples/laptop.yaml`, and what follows."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hpctl.layout import ROOT

from tests.cluster import charts
from tests.cluster.controlplane import eventually
from tests.cluster.node.images import BROKEN, SECOND
from tests.cluster.node.load import Load
from tests.cluster.node.node import NodeCluster, ready
from tests.cluster.node.platform import NAMES, Platform

LAPTOP = yaml.safe_load((ROOT / "k8s/samples/laptop.yaml").read_text())
NAME = LAPTOP["metadata"]["name"]
SERVERS = ("kafka", "postgres", "redis")


@pytest.fixture(scope="module")
def care(node: NodeCluster) -> Iterator[Platform]:
    """The laptop sample, Ready, with nothing installed beforehand but the operator's chart."""
    system = node.namespace("operator")
    node.apply(*charts.render("healthcare-operator", system), namespace=system)
    node.kubectl("rollout", "status", "deployment/healthcare-operator", "-n", system, "--timeout=180s", timeout=200)
    namespace = node.namespace("laptop")
    node.kubectl("apply", "--namespace", namespace, "--filename", str(ROOT / "k8s/samples/laptop.yaml"))
    platform = Platform(node, namespace, prefix=f"{NAME}-")
    wait(platform, "Ready", 600)
    yield platform
    node.kubectl("delete", "hcp", NAME, "--namespace", namespace, "--timeout=120s", timeout=140)
    node.kubectl("delete", "namespace", namespace, system, "--timeout=180s", timeout=200)


def wait(platform: Platform, condition: str, within: int) -> None:
    words = ("wait", f"hcp/{NAME}", "--namespace", platform.namespace, f"--for=condition={condition}")
    try:
        platform.cluster.kubectl(*words, f"--timeout={within}s", timeout=within + 20)
    except Exception as late:
        status = (platform.cluster.get("hcp", NAME, platform.namespace) or {}).get("status", {})
        raise AssertionError(json.dumps(status.get("conditions", status), indent=1)) from late


def images(platform: Platform, tag: str, **upgrade: Any) -> None:
    spec = {"images": {"tag": tag}} | ({"upgrade": upgrade} if upgrade else {})
    patch = ("patch", "hcp", NAME, "--namespace", platform.namespace, "--type=merge", "--patch")
    platform.cluster.kubectl(*patch, json.dumps({"spec": spec}))


def running(platform: Platform) -> set[str]:
    """The tags of all services' pods that serve."""
    pods = [pod for name in NAMES for pod in platform.pods(name).values() if ready(pod)]
    return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in pods}


@pytest.mark.contract("C04", "C05", "C06")
def test_one_resource_brings_up_a_platform_that_works(care: Platform) -> None:
    care.walk()
    table = care.cluster.kubectl("get", "hcp", "--namespace", care.namespace)
    assert "True" in table


@pytest.mark.parametrize("name", [*NAMES, *SERVERS])
def test_what_is_deleted_comes_back(care: Platform, name: str) -> None:
    before = set(care.pods(name))
    assert before
    names = [pod["metadata"]["name"] for pod in care.pods(name).values()]
    care.cluster.kubectl("delete", "pod", *names, "--namespace", care.namespace, "--wait=false")
    eventually(lambda: _others(care, name, before), f"another pod of {name}", 240, every=1)
    care.walk(within=120)


def test_new_images_arrive_under_load_without_a_failed_request(care: Platform) -> None:
    with Load(care) as load:
        images(care, SECOND)
        eventually(lambda: running(care) == {SECOND}, "the second image everywhere", 400, every=2)
    assert not load.failed, load.failed
    wait(care, "Ready", 120)
    care.walk()


def test_images_that_do_not_come_up_are_taken_back(care: Platform) -> None:
    with Load(care, rate=20) as load:
        images(care, BROKEN, rollback=True, deadlineSeconds=60)
        wait(care, "Degraded", 240)
        eventually(lambda: running(care) == {SECOND}, "the second image again", 240, every=2)
    assert not load.failed, load.failed
    care.walk()
    images(care, SECOND)
    wait(care, "Ready", 240)


def _others(platform: Platform, name: str, before: set[str]) -> bool:
    now = platform.pods(name)
    return bool(now) and not before & set(now) and all(ready(pod) for pod in now.values())
