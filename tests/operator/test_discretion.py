"""What the operator keeps to itself, what it tells, and what it is allowed."""

import base64
import json

from tests.cluster.controlplane import eventually
from tests.operator.platforms import Platforms
from tests.operator.process import Operator


def test_no_secret_leaves_its_place(platforms: Platforms, operator: Operator) -> None:
    platforms.apply()
    platforms.ready()
    secrets = list(platforms.children("secrets").values())
    values = {
        base64.b64decode(each["data"][key]).decode()
        for each in secrets
        for key in each["data"]
        if "password" in key or "jwt" in key
    }
    assert len(values) >= 8
    shown = [
        platforms.cluster.list(kind, platforms.namespace)
        for kind in ("hcp", "events", "configmaps", "deployments", "statefulsets")
    ]
    text = json.dumps(shown) + operator.log.read_text()
    assert not [value for value in values if value in text]
    assert min(len(value) for value in values) >= 43, "256 bits"


def test_events_tell_of_transitions_and_of_nothing_else(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()

    def told() -> list[str]:
        found = platforms.cluster.list("events", platforms.namespace)
        return [each["reason"] for each in found if each["involvedObject"]["kind"] == "HealthcarePlatform"]

    before = eventually(told, "an Event", 15)
    platforms.edit({"services": {"billing-service": {"env": {"LOG_LEVEL": "debug"}}}})
    platforms.ready()
    assert len(before) < 6
    assert "Ready" in before


def test_two_platforms_share_a_namespace(platforms: Platforms) -> None:
    platforms.apply(name="one")
    platforms.apply(name="two")
    platforms.ready("one")
    platforms.ready("two")
    ones = set(platforms.children(name="one"))
    platforms.kubectl("delete", "hcp", "two", "--timeout=20s")
    eventually(lambda: not platforms.children(name="two"), "end of the second", 60)
    assert set(platforms.children(name="one")) == ones
    platforms.ready("one")
