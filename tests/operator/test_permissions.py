"""What the operator may do is what it does: by the API server's own record, nothing is denied and no right is idle."""

from typing import Any

import pytest

from tests.cluster import audit, charts
from tests.cluster.audit import Right
from tests.cluster.controlplane import eventually
from tests.operator.platforms import BUILTIN, Platforms
from tests.operator.process import Operator

EVERY_KIND: dict[str, Any] = {
    "exposure": {"mode": "gateway-api", "gateways": [{"name": "edge"}]},
    "services": {"api-gateway": {"autoscaling": {"enabled": True}}, "billing-service": {"replicas": 2}},
}
OTHER_KINDS: dict[str, Any] = {
    "monitoring": {"mode": "builtin"},
    "exposure": {"mode": "ingress", "gateways": [], "host": "care.example"},
    "networkPolicies": False,
    "services": {"api-gateway": {"autoscaling": {"enabled": False}}, "billing-service": {"replicas": 1}},
}
ALMOST_NOTHING: dict[str, Any] = {
    "redis": {"mode": "disabled"},
    "monitoring": {"mode": "disabled"},
    "exposure": {"mode": "none"},
    "services": {"analytics-service": {"enabled": False}},
    "auth": {"existingSecret": "signing"},
    "deletionPolicy": "Delete",
}


def handed_on(namespace: str) -> set[Right]:
    """What the Roles that our charts give to others allow: nobody may hand on what he does not hold."""
    values = {"mode": "prometheus-operator"}
    rendered = charts.render("monitoring", namespace, values)
    return set[Right]().union(*(audit.granted(each["rules"]) for each in rendered if each["kind"] == "Role"))


@pytest.fixture
def tour(platforms: Platforms) -> Platforms:
    """A platform that has had every kind of object, and has lost every kind that is ever taken away."""
    platforms.kubectl("create", "secret", "generic", "signing", "--from-literal=jwt-private-key=x")
    platforms.apply(EVERY_KIND)
    platforms.ready()
    platforms.kubectl("create", "quota", "none", "--hard=pods=0")
    platforms.apply({**BUILTIN, "deletionPolicy": "Delete"}, name="other")  # Kafka and PostgreSQL keep their mode
    eventually(lambda: "exceeded quota: none" in platforms.condition("KafkaReady", "other")["message"], "a refusal", 60)
    platforms.kubectl("delete", "quota", "none")
    platforms.ready("other")
    platforms.kubectl("delete", "hcp", "other", "--timeout=20s")
    for spec in (OTHER_KINDS, ALMOST_NOTHING):
        platforms.edit(spec)
        platforms.ready()
    platforms.edit({"upgrade": {"deadlineSeconds": 5}, "images": {"tag": "broken"}})
    platforms.holds("Degraded", "True", "UpgradeFailed")
    platforms.kubectl("delete", "hcp", "care", "--timeout=20s")
    eventually(lambda: not platforms.children(), "end of the platform", 60)
    return platforms


def test_no_request_is_denied_and_no_right_is_idle(tour: Platforms, operator: Operator) -> None:
    may = audit.granted(operator.rules)
    assert not any("*" in (each.group, each.resource, each.verb) for each in may)
    record = tour.cluster.apiserver.audit
    assert operator.denied() == []
    idle = may - audit.used(record, operator.user) - handed_on(tour.namespace)
    assert [f"{each.verb} {each.resource}.{each.group}" for each in sorted(idle)] == [], "rights that nothing needs"
