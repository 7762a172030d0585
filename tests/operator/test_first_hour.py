"""What somebody who looks after clusters tries in the first hour, on a real API server."""

import base64

import pytest
from healthcare_operator import validation
from healthcare_operator.platform import Platform
from healthcare_operator.spec import SERVICES, Spec

from tests.cluster.controlplane import eventually
from tests.operator.platforms import BUILTIN, LABEL, Platforms

pytestmark = pytest.mark.contract("C04")

ADMIN = {"auth": {"adminEmail": "admin@care.example"}}


def test_what_has_the_name_already_and_is_somebody_elses_is_left_alone(platforms: Platforms) -> None:
    """A Secret that was made by hand keeps its password; handed over, it is kept as the platform's own."""
    platforms.kubectl("create", "secret", "generic", "care-admin", "--from-literal=password=mine")
    platforms.kubectl("create", "service", "clusterip", "care-auth-service", "--tcp=80:80")
    platforms.apply({**BUILTIN, **ADMIN})
    told = platforms.holds("Degraded", "True", "ApplyFailed")["message"]
    assert told == (
        "Secret/care-admin is there already and is not the platform's: delete it, or hand it over by the label"
        f" {LABEL}=care"
    )
    eventually(lambda: platforms.get("deployment", "care-billing-service"), "everything else", 60)
    assert base64.b64decode(platforms.there("secret", "care-admin")["data"]["password"]) == b"mine"
    platforms.kubectl("label", "secret", "care-admin", f"{LABEL}=care")
    platforms.kubectl("delete", "service", "care-auth-service")
    platforms.ready()
    assert base64.b64decode(platforms.there("secret", "care-admin")["data"]["password"]) == b"mine"
    assert platforms.there("service", "care-auth-service")["spec"]["ports"][0]["port"] == 4005


def test_a_namespace_that_enforces_restricted_pod_security_takes_everything_built_in(platforms: Platforms) -> None:
    platforms.kubectl("label", "namespace", platforms.namespace, "pod-security.kubernetes.io/enforce=restricted")
    platforms.apply({**BUILTIN, "monitoring": {"mode": "builtin", "exporters": True}})
    platforms.ready()
    pods = platforms.cluster.list("pods", platforms.namespace)
    parts = {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in pods}
    assert parts >= {*SERVICES, "kafka", "postgres", "redis", "prometheus", "alertmanager", "grafana"}


def test_a_service_without_pods_is_a_state_like_any_other(platforms: Platforms) -> None:
    platforms.apply({**BUILTIN, "services": {"analytics-service": {"replicas": 0}}})
    platforms.ready()
    assert platforms.there("deployment", "care-analytics-service")["spec"]["replicas"] == 0


def test_children_that_were_orphaned_are_taken_in_again(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    uid = platforms.there("deployment", "care-auth-service")["metadata"]["uid"]
    platforms.kubectl("delete", "hcp", "care", "--cascade=orphan", "--timeout=20s")
    platforms.apply()
    platforms.ready()
    found = platforms.there("deployment", "care-auth-service")["metadata"]
    owner = platforms.there("hcp", "care")["metadata"]["uid"]
    assert found["uid"] == uid
    assert [each["uid"] for each in found["ownerReferences"]] == [owner]


def test_one_secret_for_two_services_is_refused_by_the_loop_too() -> None:
    secrets = dict.fromkeys([name for name in SERVICES if name != "api-gateway"], "db")
    spec = Spec.model_validate({"postgres": {"mode": "external", "secrets": secrets}})
    keys = dict.fromkeys(("username", "password", "host", "port", "dbname"), "x")
    said = validation.fault(Platform("care", "here", "uid", 1, spec), {"db": {"data": keys}})
    assert said == "postgres.secrets has one Secret for two services: each needs a database of its own."
