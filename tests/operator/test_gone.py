"""The operator absent: nothing waits for it, and nothing is forgotten."""

import pytest

from tests.cluster.controlplane import eventually
from tests.operator.platforms import Platforms
from tests.operator.process import Operator


def test_what_changed_while_nobody_looked_is_put_back(platforms: Platforms, operator: Operator) -> None:
    platforms.apply()
    platforms.ready()
    operator.kill()
    platforms.kubectl("scale", "deployment/care-api-gateway", "--replicas=3")
    platforms.kubectl("delete", "service", "care-auth-service")
    platforms.edit({"services": {"analytics-service": {"enabled": False}}})
    operator.start()
    eventually(lambda: platforms.get("deployment", "care-analytics-service") is None, "end of analytics", 30)
    platforms.ready()
    assert platforms.there("deployment", "care-api-gateway")["spec"]["replicas"] == 1
    assert platforms.get("service", "care-auth-service")


@pytest.mark.contract("C04")
def test_credentials_lost_while_nobody_looked_are_made_anew_and_who_uses_them_starts_again(
    platforms: Platforms, operator: Operator
) -> None:
    platforms.apply()
    platforms.ready()
    templates = ("deployment/care-billing-service", "statefulset/care-postgres", "deployment/care-patient-service")
    before = {each: platforms.annotations(each) for each in templates}
    operator.kill()
    lost = "care-billing-service-db"
    password = platforms.there("secret", lost)["data"]["password"]
    platforms.kubectl("delete", "secret", lost)
    operator.start()
    eventually(lambda: platforms.get("secret", lost), "the Secret", 30)
    assert platforms.there("secret", lost)["data"]["password"] != password
    *users, other = templates
    for each in users:
        eventually(lambda each=each: platforms.annotations(each) != before[each], f"other pods of {each}", 30)
    platforms.ready()
    assert platforms.annotations(other) == before[other]


def test_nothing_waits_for_an_operator_that_is_gone(operator: Operator) -> None:
    platforms = Platforms(operator.cluster, operator.cluster.namespace("gone"))
    platforms.apply()
    platforms.ready()
    assert "finalizers" not in platforms.there("hcp", "care")["metadata"]
    operator.kill()
    platforms.kubectl("delete", "hcp", "care", "--timeout=20s")
    eventually(lambda: not platforms.children(), "end of everything that holds no data", 60)
    platforms.cluster.kubectl("delete", "namespace", platforms.namespace, "--timeout=60s")
    operator.start()
