"""What happens to a platform that runs: drift, edits, upgrades, crashes, on a real API server."""

import base64
import json
import time
from collections.abc import Callable

import pytest

from tests.cluster import crds
from tests.cluster.controlplane import eventually
from tests.cluster.standin.loop import StandIn
from tests.operator.platforms import BUILTIN, Platforms
from tests.operator.process import Operator

SOONER_THAN_A_RESYNC = 10  # which comes every 30 s in these tests
GATEWAY = ("deployment", "care-api-gateway")


def image(platforms: Platforms, service: str = "billing-service") -> str:
    found = platforms.there("deployment", f"care-{service}")
    return found["spec"]["template"]["spec"]["containers"][0]["image"]


def took(look: Callable[[], object], what: str) -> float:
    started = time.monotonic()
    eventually(look, what, 15, every=0.02)
    return time.monotonic() - started


def replicas(platforms: Platforms) -> int:
    return platforms.there(*GATEWAY)["spec"]["replicas"]


def test_a_number_changed_by_hand_is_put_back(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    platforms.kubectl("scale", "/".join(GATEWAY), "--replicas=3")
    assert took(lambda: replicas(platforms) == 1, "one replica") < SOONER_THAN_A_RESYNC
    platforms.ready()


def _returns(platforms: Platforms, kind: str, name: str) -> float:
    """Seconds until another object has the name of one that is deleted."""
    uid = platforms.there(kind, name)["metadata"]["uid"]
    platforms.kubectl("delete", kind, name)

    def back() -> bool:
        found = platforms.get(kind, name)
        return found is not None and found["metadata"]["uid"] != uid

    return took(back, f"{kind} {name}")


def test_what_is_deleted_again_and_again_comes_back_each_time(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    for _ in range(5):
        assert _returns(platforms, "configmap", "care-auth-service") < 3
    assert platforms.condition("Drifted")["reason"] != "FieldConflict"


def test_what_somebody_changes_as_fast_as_it_is_put_back_is_reported_and_left(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()

    def contested() -> bool:
        platforms.kubectl("scale", "/".join(GATEWAY), "--replicas=3")
        return platforms.condition("Drifted")["reason"] == "FieldConflict"

    eventually(contested, "a report of the contest", 30, every=0.3)
    assert "care-api-gateway" in platforms.holds("Drifted", "True", "FieldConflict")["message"]
    assert replicas(platforms) == 3


def test_a_deleted_secret_comes_back_with_the_same_password(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    before = platforms.there("secret", "care-billing-service-db")
    generation = platforms.there("deployment", "care-billing-service")["metadata"]["generation"]
    platforms.kubectl("delete", "secret", "care-billing-service-db")
    after = eventually(lambda: platforms.get("secret", "care-billing-service-db"), "the Secret", 15)
    assert after["data"] == before["data"]
    platforms.ready()
    assert platforms.there("deployment", "care-billing-service")["metadata"]["generation"] == generation


def test_a_password_that_is_put_into_a_secret_is_taken_over(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    users = ("deployment/care-billing-service", "statefulset/care-postgres")
    before = {each: platforms.annotations(each) for each in (*users, "deployment/care-patient-service")}
    chosen = {"password": base64.b64encode(b"chosen by a person").decode()}
    platforms.kubectl("patch", "secret", "care-billing-service-db", "--patch", json.dumps({"data": chosen}))
    for each in users:
        eventually(lambda each=each: platforms.annotations(each) != before[each], f"other pods of {each}", 30)
    platforms.ready()
    assert platforms.there("secret", "care-billing-service-db")["data"]["password"] == chosen["password"]
    assert platforms.annotations("deployment/care-patient-service") == before["deployment/care-patient-service"]


def test_no_pass_without_a_change_writes_anything(platforms: Platforms, operator: Operator) -> None:
    platforms.apply()
    platforms.ready()
    idle_since = eventually(lambda: _idle(operator), "an idle operator", 60, every=1.0)
    before = platforms.versions()
    platforms.kubectl("annotate", "hcp", "care", "touched=yes")
    eventually(lambda: operator.metric("healthcare_operator_reconciles_total") > idle_since[0], "another pass", 15)
    assert operator.metric("healthcare_operator_applies_total") == idle_since[1]
    assert platforms.versions() == before


def _idle(operator: Operator) -> tuple[float, float] | None:
    """Passes and applies, where neither moved for a second."""

    def now() -> tuple[float, float]:
        return (
            operator.metric("healthcare_operator_reconciles_total"),
            operator.metric("healthcare_operator_applies_total"),
        )

    first = now()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        if now() != first:
            return None
    return first


def test_a_field_that_another_manager_applies_is_left_to_it_and_reported(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    theirs = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": GATEWAY[1]}, "spec": {"replicas": 4}}
    platforms.cluster.apply(theirs, namespace=platforms.namespace, manager="somebody")
    told = platforms.holds("Drifted", "True", "FieldConflict")
    assert "care-api-gateway .spec.replicas" in told["message"]
    assert replicas(platforms) == 4
    theirs["spec"] = {}
    platforms.cluster.apply(theirs, namespace=platforms.namespace, manager="somebody")
    platforms.holds("Drifted", "False")
    assert replicas(platforms) == 1


def test_a_suspended_platform_is_left_alone(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    platforms.edit({"suspend": True})
    platforms.holds("Suspended", "True")
    platforms.kubectl("scale", "/".join(GATEWAY), "--replicas=0")
    platforms.edit({"services": {"billing-service": {"replicas": 2}}})
    eventually(lambda: platforms.status().get("observedGeneration", 0) >= 3, "a pass over the edit", 15)
    assert replicas(platforms) == 0
    assert platforms.there("deployment", "care-billing-service")["spec"]["replicas"] == 1
    platforms.edit({"suspend": False})
    platforms.ready()
    assert replicas(platforms) == 1
    assert platforms.there("deployment", "care-billing-service")["spec"]["replicas"] == 2


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
def test_a_disabled_component_goes_and_its_data_stays(platforms: Platforms, policy: str) -> None:
    platforms.apply({**BUILTIN, "deletionPolicy": policy})
    platforms.ready()
    platforms.edit({"services": {"analytics-service": {"enabled": False}}, "redis": {"mode": "disabled"}})
    eventually(lambda: platforms.get("deployment", "care-analytics-service") is None, "end of analytics", 30)
    eventually(lambda: platforms.get("statefulset", "care-redis") is None, "end of redis", 30)
    platforms.ready()
    assert platforms.there("secret", "care-analytics-service-db")
    kept = platforms.there("persistentvolumeclaim", "data-care-redis-0")
    assert "deletionTimestamp" not in kept["metadata"]
    platforms.kubectl("delete", "hcp", "care", "--timeout=20s")
    eventually(lambda: not platforms.children(), "end of everything that holds no data", 60)
    gone = policy == "Delete"
    eventually(lambda: (platforms.get("persistentvolumeclaim", "data-care-redis-0") is None) == gone, policy, 30)


def test_services_wait_for_what_they_stand_on(platforms: Platforms, standin: StandIn) -> None:
    standin.behave("Kafka", "slow", platforms.namespace)
    platforms.apply({**BUILTIN, "kafka": {"mode": "strimzi"}})
    platforms.holds("KafkaReady", "False")
    eventually(lambda: platforms.get("statefulset", "care-postgres"), "PostgreSQL beside it", 30)
    assert not [each for each in platforms.children() if each[0] == "Deployment"]
    standin.behave("Kafka", "ready", platforms.namespace)
    platforms.ready()


@pytest.mark.parametrize(
    ("tag", "cause"),
    [
        ("broken", "billing-service waits: ImagePullBackOff no such image"),
        ("failing", "migrate of billing-service ended with exit code 1: column is not there"),
    ],
)
def test_images_that_do_not_come_up_are_taken_back(platforms: Platforms, tag: str, cause: str) -> None:
    platforms.apply({**BUILTIN, "images": {"tag": "one"}})
    platforms.ready()
    platforms.edit({"images": {"tag": "two"}})
    platforms.ready()
    assert image(platforms) == "billing-service:two"
    bad = {"billing-service": {"image": f"billing-service:{tag}"}}
    platforms.edit({"upgrade": {"deadlineSeconds": 5}, "services": bad})
    eventually(lambda: image(platforms).endswith(tag), "the new image", 15)
    told = platforms.holds("Degraded", "True", "UpgradeFailed")
    said = f"billing-service:{tag} did not become ready in time ({cause}); the last good images run"
    assert told["message"] == said
    eventually(lambda: image(platforms) == "billing-service:two", "the last image that worked", 15)
    assert [each["event"] for each in platforms.status()["history"]] == ["Succeeded", "Succeeded", "RolledBack"]
    good = {"billing-service": {"image": "billing-service:three"}}
    platforms.edit({"upgrade": {"deadlineSeconds": 600}, "services": good})
    platforms.ready()
    assert image(platforms) == "billing-service:three"
    assert platforms.condition("Degraded")["status"] == "False"


def test_what_is_not_installed_is_named_with_its_command(platforms: Platforms, standin: StandIn) -> None:
    definition = "kafkatopics.kafka.strimzi.io"
    platforms.kubectl("delete", "customresourcedefinition", definition)
    try:
        platforms.apply({**BUILTIN, "kafka": {"mode": "strimzi"}})
        told = platforms.holds("DependenciesReady", "False", "CRDMissing")
        assert "KafkaTopic" in told["message"]
        assert "helm install" in told["message"]
    finally:
        crds.install(platforms.cluster, ["strimzi"])
    platforms.holds("DependenciesReady", "True")
    platforms.ready()


def test_a_spec_that_cannot_work_stalls_and_leaves_what_runs(platforms: Platforms) -> None:
    platforms.apply()
    platforms.ready()
    before = platforms.versions()
    platforms.edit({"kafka": {"config": {"listeners": "mine"}}})
    told = platforms.holds("Stalled", "True")
    assert "listeners" in told["message"]
    assert platforms.versions() == before
    platforms.edit({"kafka": {"config": None}})
    platforms.ready()


@pytest.mark.contract("X18")
def test_external_servers_need_their_secrets(platforms: Platforms) -> None:
    secrets = dict.fromkeys(("auth", "billing", "patient", "appointment", "analytics"), "")
    postgres = {"mode": "external", "secrets": {f"{name}-service": f"rds-{name}" for name in secrets}}
    external = {"kafka": {"mode": "external", "bootstrapServers": "b-1.msk.example:9092"}, "postgres": postgres}
    platforms.apply({**BUILTIN, **external, "redis": {"mode": "disabled"}})
    told = platforms.holds("Ready", "False")
    assert "rds-" in told["message"]
    keys = [f"--from-literal={key}=x" for key in ("username", "password", "host", "port", "dbname")]
    for name in secrets:
        platforms.kubectl("create", "secret", "generic", f"rds-{name}", *keys)
    seconds = took(lambda: platforms.condition("Stalled")["status"] == "Unknown", "a pass over the Secrets")
    assert seconds < SOONER_THAN_A_RESYNC
    platforms.ready()
    assert not [name for kind, name in platforms.children() if kind == "StatefulSet"]
    platforms.kubectl("patch", "secret", "rds-auth", "--type=json", '--patch=[{"op": "remove", "path": "/data/host"}]')
    took(lambda: "rds-auth lacks the key host" in platforms.condition("Stalled")["message"], "the key that is gone")
