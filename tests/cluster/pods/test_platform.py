"""The platform in pods, installed by its charts: it works, heals, is restarted and upgraded while it is used."""

import base64
import json
import time

import pytest

from tests.cluster.controlplane import eventually
from tests.cluster.node.images import BROKEN, SECOND
from tests.cluster.node.load import Load
from tests.cluster.node.node import ready
from tests.cluster.node.platform import NAMES, SERVERS, Platform

AWAY_SECONDS = 60


@pytest.mark.contract("C03", "R3")
def test_the_walkthrough_passes_through_the_gateways_service(platform: Platform) -> None:
    platform.walk()


@pytest.mark.parametrize("name", [*NAMES, *SERVERS])
def test_a_deleted_pod_comes_back_and_the_platform_works(platform: Platform, name: str) -> None:
    before = platform.pods(name)
    assert before
    names = [pod["metadata"]["name"] for pod in before.values()]
    platform.cluster.kubectl("delete", "pod", *names, "--namespace", platform.namespace, "--wait=false")
    eventually(lambda: _replaced(platform, name, set(before)), f"another pod of {name}", 240, every=1)
    platform.walk(within=120)


def test_restarts_under_load_fail_no_request(platform: Platform) -> None:
    with Load(platform) as load:
        for name in NAMES:
            restart = ("rollout", "restart", f"deployment/{name}", "--namespace", platform.namespace)
            platform.cluster.kubectl(*restart)
            platform.rolled_out(f"deployment/{name}")
    print(f"{load.answered} requests answered over six restarts")
    assert load.answered > 500
    assert not load.failed, load.failed
    platform.walk()


def test_an_upgrade_under_load_fails_no_request(platform: Platform) -> None:
    with Load(platform) as load:
        platform.install(*NAMES, image={"tag": SECOND})
    assert not load.failed, load.failed
    for name in NAMES:
        pods = [pod for pod in platform.pods(name).values() if ready(pod)]
        assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {f"{name}:{SECOND}"}
    platform.walk()


def test_a_broken_image_leaves_the_old_pods_serving(platform: Platform) -> None:
    serving = {uid for uid, pod in platform.pods("patient-service").items() if ready(pod)}
    with Load(platform, rate=20) as load:
        platform.offer("patient-service", image={"tag": BROKEN})
        eventually(lambda: _cannot_start(platform, "patient-service"), "a pod that cannot start", 120, every=1)
        assert serving <= {uid for uid, pod in platform.pods("patient-service").items() if ready(pod)}
        platform.install("patient-service", image={"tag": SECOND})
    assert not load.failed, load.failed
    platform.walk()


def test_pods_outlive_a_minute_without_their_kubelet(platform: Platform) -> None:
    before = {uid for name in NAMES for uid, pod in platform.pods(name).items() if ready(pod)}
    platform.cluster.kubelet.kill()
    gone = time.monotonic()
    eventually(lambda: time.monotonic() - gone > AWAY_SECONDS, "the end of the minute", AWAY_SECONDS + 10, every=1)
    platform.cluster.kubelet.start()
    platform.cluster.wait_until_ready(90)
    platform.cluster.settle(platform.namespace, 180)
    assert before == {uid for name in NAMES for uid, pod in platform.pods(name).items() if ready(pod)}
    platform.walk(within=120)


def test_no_password_stands_in_a_pods_description(platform: Platform) -> None:
    secrets = platform.cluster.list("secrets", platform.namespace)
    pairs = [pair for secret in secrets for pair in secret["data"].items()]
    hidden = {base64.b64decode(value).decode() for key, value in pairs if "password" in key or "jwt" in key}
    described = json.dumps(platform.cluster.list("pods", platform.namespace))
    assert hidden
    assert not [value for value in hidden if value in described]


def _replaced(platform: Platform, name: str, before: set[str]) -> bool:
    now = platform.pods(name)
    return bool(now) and not before & set(now) and all(ready(pod) for pod in now.values())


def _cannot_start(platform: Platform, name: str) -> bool:
    """Whether a pod that never served has started a container again."""
    unready = [pod["status"] for pod in platform.pods(name).values() if not ready(pod)]
    started = [each for status in unready for each in status.get("initContainerStatuses", [])]
    started += [each for status in unready for each in status.get("containerStatuses", [])]
    return any(each["restartCount"] for each in started)
