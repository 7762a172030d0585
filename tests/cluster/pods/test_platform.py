"""The platform in pods, installed by its charts alone, as by somebody who has no operator."""

import base64
import json

import pytest

from tests.cluster.helm import Helm
from tests.cluster.pods.platform import NAMES, RELEASES, Platform


@pytest.mark.contract("C03", "R3")
def test_the_walkthrough_passes_through_the_gateways_service(platform: Platform) -> None:
    platform.walk()


def test_no_password_stands_in_a_pods_description(platform: Platform) -> None:
    secrets = platform.cluster.list("secrets", platform.namespace)
    pairs = [pair for secret in secrets for pair in secret["data"].items()]
    hidden = {base64.b64decode(value).decode() for key, value in pairs if "password" in key or "jwt" in key}
    described = json.dumps(platform.cluster.list("pods", platform.namespace))
    assert hidden
    assert not [value for value in hidden if value in described]


@pytest.fixture(scope="module")
def helm(platform: Platform) -> Helm:
    """Helm in the platform's namespace, where every release is up."""
    platform.cluster.settle(platform.namespace, 120)
    return Helm(platform.cluster, platform.namespace)


@pytest.mark.contract("C03", "R3")
@pytest.mark.parametrize("release", RELEASES)
def test_the_lines_of_a_releases_notes_do_what_they_say(helm: Helm, release: str) -> None:
    """A service's lines are `kubectl rollout status`, `helm test`, `kubectl port-forward` and `curl`."""
    lines = helm.follow(release)
    assert len(lines) == (4 if release in NAMES else 1)


@pytest.mark.parametrize("release", [name for name in RELEASES if name not in NAMES])
def test_helm_test_finds_a_server_that_answers(helm: Helm, release: str) -> None:
    helm.test(release)
