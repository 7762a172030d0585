"""The platform in pods, installed by its charts alone, as by somebody who has no operator."""

import base64
import json

import pytest

from tests.cluster.node.platform import Platform


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
