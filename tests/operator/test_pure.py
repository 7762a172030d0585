"""What a spec leads to, without any cluster: render, plan, upgrade, validation."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from healthcare_operator import crd, plan, secrets, validation
from healthcare_operator.apply import without
from healthcare_operator.conditions import Seen
from healthcare_operator.helm import ChartError, Charts
from healthcare_operator.plan import Applied, digest, project
from healthcare_operator.platform import Platform, Ref
from healthcare_operator.render import components
from healthcare_operator.settings import Settings
from healthcare_operator.spec import SERVICES, Spec
from healthcare_operator.status import status
from healthcare_operator.upgrade import Attempt, attempt, settled
from hpctl.layout import ROOT

CHARTS = Charts(Settings().charts_dir)
NOW = "2026-01-02T03:04:05Z"


def platform(spec: dict[str, Any] | None = None, name: str = "care") -> Platform:
    return Platform(name, "here", "uid", 1, Spec.model_validate(spec or {}))


def sample(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "k8s" / "samples" / f"{name}.yaml").read_text())["spec"]


def everything(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for found in components(platform(spec), CHARTS).values() for each in found]


def live(manifest: dict[str, Any], version: str = "1") -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}


@pytest.mark.contract("C05", "E01")
def test_an_empty_spec_leads_to_the_resources_of_all_three_operators() -> None:
    found = everything({})
    kinds = {each["kind"] for each in found}
    assert {"Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser", "Cluster", "Database", "Prometheus"} <= kinds
    topics = {each["spec"]["topicName"] for each in found if each["kind"] == "KafkaTopic"}
    assert {"patient.created", "patient.updated", "billing-account"} <= topics
    assert {f"care-{name}" for name in SERVICES} <= {each["metadata"]["name"] for each in found}


@pytest.mark.contract("X18", "X21")
def test_servers_of_a_cloud_are_reached_by_reference_and_none_is_made() -> None:
    found = everything(sample("external"))
    assert not {each["kind"] for each in found} & {"StatefulSet", "Kafka", "Cluster", "Prometheus"}
    settings = {each["metadata"]["name"]: each["data"] for each in found if each["kind"] == "ConfigMap"}
    patient = settings["care-patient-service"]
    assert patient["KAFKA_BOOTSTRAP_SERVERS"].startswith("b-1.msk.example:9096,")
    assert patient["KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"
    assert patient["DATABASE_TLS"] == "verify-full"
    assert patient["REDIS_TLS"] == "true"
    mounted = {
        volume["secret"]["secretName"]
        for each in found
        if each["kind"] == "Deployment"
        for volume in each["spec"]["template"]["spec"]["volumes"]
        if "secret" in volume
    }
    assert {"msk", "rds-patient", "rds-ca", "elasticache", "signing"} <= mounted


@pytest.mark.parametrize("name", ["minimal", "laptop", "production", "external"])
def test_every_object_belongs_to_its_platform(name: str) -> None:
    for each in everything(sample(name)):
        assert each["metadata"]["name"].startswith("care"), each["kind"]
        assert each["metadata"]["labels"]["healthcareplatform.io/platform"] == "care"
        assert each["metadata"]["namespace"] == "here"


def test_what_holds_data_has_no_owner_unless_it_is_to_be_deleted() -> None:
    def owned(policy: str) -> dict[str, bool]:
        return {each["kind"]: "ownerReferences" in each["metadata"] for each in everything({"deletionPolicy": policy})}

    kept = {kind for kind, has in owned("Retain").items() if not has}
    assert kept == {"Kafka", "KafkaNodePool", "KafkaTopic", "Cluster", "Database"}
    assert all(owned("Delete").values())


@pytest.mark.parametrize(("policy", "goes"), [("Retain", False), ("Delete", True)])
def test_the_volumes_of_strimzi_go_only_where_nothing_may_stay(policy: str, goes: bool) -> None:
    [pool] = [each for each in everything({"deletionPolicy": policy}) if each["kind"] == "KafkaNodePool"]
    assert [each["deleteClaim"] for each in pool["spec"]["storage"]["volumes"]] == [goes]


def test_a_production_platform_has_no_demo_data_and_follows_its_load() -> None:
    found = everything(sample("production"))
    assert {"HorizontalPodAutoscaler", "HTTPRoute", "PodDisruptionBudget"} <= {each["kind"] for each in found}
    assert "SQL_INIT_MODE" not in yaml.safe_dump_all(found)
    pods = [each for each in found if each["kind"] == "Deployment" and each["metadata"]["name"] == "care-api-gateway"]
    assert "replicas" not in pods[0]["spec"]


def test_credentials_are_made_once() -> None:
    first = {each["metadata"]["name"]: each for each in secrets.manifests(platform(), {})}
    again = {each["metadata"]["name"]: each for each in secrets.manifests(platform(), first)}
    assert first == again
    assert first != {each["metadata"]["name"]: each for each in secrets.manifests(platform(), {})}


def test_nothing_to_do_is_an_empty_plan() -> None:
    wanted = components(platform({"redis": {"mode": "disabled"}, "monitoring": {"mode": "disabled"}}), CHARTS)
    wanted = {name: found for name, found in wanted.items() if name in SERVICES}
    observed = {Ref.of(each): live(each) for found in wanted.values() for each in found}
    applied = {ref: Applied(digest(each), "", "1") for ref, each in _plain(wanted).items()}
    assert plan.plan(wanted, observed, applied) == plan.Plan()
    ref = next(iter(observed))
    steps = plan.plan(wanted, {key: value for key, value in observed.items() if key != ref}, applied)
    assert [(Ref.of(step.manifest), step.reason) for step in steps.applies] == [(ref, "drift")]


def _plain(wanted: dict[str, list[dict[str, Any]]]) -> dict[Ref, dict[str, Any]]:
    return {Ref.of(each): each for found in wanted.values() for each in found}


def test_services_wait_for_what_they_stand_on() -> None:
    wanted = components(platform(), CHARTS)
    steps = plan.plan(wanted, {}, {})
    assert steps.waiting == ["kafka", "postgres", "redis"]
    assert not {step.component for step in steps.applies} & set(SERVICES)


def test_what_is_no_longer_wanted_is_pruned_unless_it_holds_data() -> None:
    old = [Ref("apps/v1", "Deployment", "here", "old"), Ref("v1", "Secret", "here", "old")]
    observed = {ref: {"metadata": {"resourceVersion": "1"}} for ref in old}
    assert plan.plan({}, observed, {}, inventory=old).prunes == old[:1]


def test_defaults_of_the_api_server_are_no_drift() -> None:
    wanted = {"spec": {"ports": [{"name": "http", "port": 80}], "type": "ClusterIP"}}
    seen = {"spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}], "type": "ClusterIP", "clusterIP": "x"}}
    assert project(wanted, seen) == wanted
    seen["spec"]["type"] = "NodePort"
    assert project(wanted, seen) != wanted


def test_a_field_is_cut_out_by_the_name_that_a_conflict_has() -> None:
    pod = {"spec": {"replicas": 1, "containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}}
    cut = without(pod, [".spec.replicas", '.spec.containers[name="b"].image'])
    assert cut == {"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}}
    assert pod["spec"]["replicas"] == 1


def test_an_upgrade_is_given_up_after_its_deadline_and_not_tried_again() -> None:
    good, bad = platform({"images": {"tag": "one"}}), platform({"images": {"tag": "two"}})
    _, standing = attempt(good, Attempt({}, {}, 0, {}), 100, ready=False)
    standing = settled(standing, ready=True)
    _, trying = attempt(bad, standing, 200, ready=False)
    assert not trying.failed
    _, late = attempt(bad, trying, 900, ready=False)
    again, later = attempt(bad, late, 2000, ready=True)
    assert late.failed == bad.images
    assert again.images == good.images
    assert settled(later, ready=True).good == good.images
    assert attempt(bad, trying, 900, ready=True)[1].failed == {}, "an operator that was away gives nothing up"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"kafka": {"config": {"listeners": "x"}}}, "kafka.config.listeners is managed by Strimzi"),
        ({"postgres": {"version": "13"}}, "15 or newer"),
        ({"postgres": {"mode": "external", "secrets": {"auth-service": "a"}}}, "Secret a is referenced"),
        (
            {"services": {"api-gateway": {"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 2}}}},
            "minReplicas is above maxReplicas",
        ),
    ],
)
def test_a_spec_that_cannot_work_is_one_sentence(spec: dict[str, Any], reason: str) -> None:
    said = validation.fault(platform(spec), {})
    assert said
    assert reason in said
    assert said.endswith(".")


def test_a_chart_refuses_values_that_it_does_not_know() -> None:
    with pytest.raises(ChartError, match="replicaz"):
        CHARTS.render("patient-service", {"replicaz": 1}, name="care", namespace="here")


def test_the_time_of_a_condition_moves_only_with_its_status() -> None:
    seen = Seen(platform(), fault="It cannot work.")
    first = status(seen, {}, NOW)
    second = status(seen, first, "2026-01-02T03:05:05Z")
    assert first == second
    assert {each["type"]: each["status"] for each in first["conditions"]} == {"Stalled": "True", "Ready": "False"}


@pytest.mark.parametrize("fault", [None, "It cannot work."])
def test_a_status_has_no_field_that_its_schema_does_not_know(fault: str | None) -> None:
    """The API server would drop it without a word, and the next pass would not find it."""
    given_up = Attempt({"a": "a:1"}, {"a": "a:2"}, 1.0, {"a": "a:2"}, "it would not start")
    wanted = components(platform(), CHARTS)
    refs = [Ref.of(each) for found in wanted.values() for each in found]
    told = status(Seen(platform(), wanted, attempt=given_up, inventory=refs, fault=fault), {}, NOW)
    assert told["inventory"]
    assert told["history"]
    assert not list(_unknown("status", told, crd.schema()["properties"]["status"]))


def _unknown(path: str, value: Any, schema: dict[str, Any]) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _unknown(f"{path}[]", each, schema["items"])
    elif isinstance(value, dict) and "properties" in schema:
        for key, each in value.items():
            known = schema["properties"].get(key)
            yield from [f"{path}.{key}"] if known is None else _unknown(f"{path}.{key}", each, known)
