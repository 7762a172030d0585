"""What the charts render: valid, restricted, with the platform's names, and strict about what they are given."""

import re
import subprocess
from itertools import chain
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from healthcare_contracts.topics import ALL_TOPICS, TOPICS
from hpctl.layout import PORTS

from tests.charts.rendering import (
    CHARTS,
    EVERYTHING,
    INFRASTRUCTURE,
    OPERATOR,
    ROOT,
    RS256,
    SERVICES,
    combinations,
    of,
    render,
)

CASES = [pytest.param(chart, values, id=f"{chart}-{number}") for number, (chart, values) in enumerate(combinations())]
WORKLOADS = ("Deployment", "StatefulSet", "Job")
THEIRS = ("kafka.strimzi.io", "postgresql.cnpg.io", "monitoring.coreos.com", "gateway.networking.k8s.io")


def pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every pod specification."""
    return [each["spec"]["template"]["spec"] for kind in WORKLOADS for each in of(manifests, kind)]


@pytest.mark.contract("C03", "R3")
@pytest.mark.parametrize("chart", [*SERVICES, *INFRASTRUCTURE, OPERATOR])
def test_helm_finds_nothing_to_say_about_a_chart(chart: str) -> None:
    found = helm_python.lint(CHARTS / chart, strict=True)
    assert found["errors"] == []
    assert {each["error"] for each in found["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize(("chart", "values"), CASES)
def test_every_object_is_what_kubernetes_knows(chart: str, values: dict[str, Any]) -> None:
    manifests = render(chart, values)
    assert manifests
    for each in manifests:
        if not each["kind"].startswith(("ClusterRole", "CustomResourceDefinition")):
            assert each["metadata"]["namespace"] == "demo"
        if each["apiVersion"].partition("/")[0] not in THEIRS:
            kubernetes_validate.validate(each, "1.33", strict=True)


@pytest.mark.parametrize(("chart", "values"), CASES)
def test_every_pod_is_restricted(chart: str, values: dict[str, Any]) -> None:
    for pod in pods(render(chart, values)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in chain(pod["containers"], pod.get("initContainers", [])):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]["memory"]
            secrets = [each for each in container.get("env", []) if "secretKeyRef" in str(each)]
            assert not secrets, "secrets are files"


@pytest.mark.contract("A16", "A18", "C03")
@pytest.mark.parametrize("service", SERVICES)
def test_a_lone_install_uses_the_documented_names(service: str) -> None:
    manifests = render(service, name=service.removesuffix("-service").removeprefix("api-"))
    [config] = of(manifests, "ConfigMap")
    own = of(manifests, "Service")[0]
    assert own["metadata"]["name"] == service
    told = config["data"]
    if service != "api-gateway":
        assert told["DATABASE_URL"] == f"postgresql://{service}-db:5432/db"
        assert told["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"
    if "REDIS_HOST" in told:
        assert told["REDIS_HOST"] == "redis"
    variable = (
        "BILLING_SERVICE_HTTP_PORT" if service == "billing-service" else f"{service.upper().replace('-', '_')}_PORT"
    )
    [port] = [each["port"] for each in own["spec"]["ports"] if each["name"] == "http"]
    assert port == int(told[variable]) == PORTS[variable]


@pytest.mark.contract("C03")
def test_an_existing_secret_replaces_every_word_about_the_database() -> None:
    manifests = render("patient-service", {"database": {"existingSecret": "patient-db-app"}})
    [config] = of(manifests, "ConfigMap")
    [deployment] = of(manifests, "Deployment")
    assert "DATABASE_URL" not in config["data"]
    folder = config["data"]["DATABASE_SECRET_DIR"]
    pod = deployment["spec"]["template"]["spec"]
    for container in (*pod["containers"], *pod["initContainers"]):
        assert folder in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert {"name": "database", "secret": {"secretName": "patient-db-app", "defaultMode": 0o440}} in pod["volumes"]


def test_two_releases_fit_in_one_namespace() -> None:
    def names(chart: str, values: dict[str, Any], release: str) -> set[tuple[str, str]]:
        return {(each["kind"], each["metadata"]["name"]) for each in render(chart, values, name=release)}

    cases = [*combinations(), *((service, EVERYTHING) for service in SERVICES)]
    for chart, values in cases:
        if chart != OPERATOR:  # one per cluster
            assert not names(chart, values, "one") & names(chart, values, "two"), chart
            named = [{**values, "fullnameOverride": f"{platform}-{chart}"} for platform in ("one", "two")]
            assert not names(chart, named[0], "same") & names(chart, named[1], "same"), chart


@pytest.mark.contract("A16")
def test_lone_infrastructure_has_the_names_that_the_services_expect() -> None:
    def services(chart: str, **values: Any) -> set[str]:
        return {each["metadata"]["name"] for each in of(render(chart, values, name=chart), "Service")}

    databases = {f"{service}-db" for service in SERVICES if service != "api-gateway"}
    assert "redis" in services("redis")
    assert "kafka" in services("kafka")
    assert {"prometheus", "grafana"} <= services("monitoring")
    assert databases <= services("postgres")


def test_a_pod_selects_no_other_pod() -> None:
    """A Service, budget or policy selects the pods of its own workload, and a helm test's pod is nobody's."""
    for service in SERVICES:
        manifests = render(service, RS256)
        [deployment] = of(manifests, "Deployment")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        [test] = of(manifests, "Job")
        for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            for each in of(manifests, kind):
                if "helm.sh/hook" in each["metadata"].get("annotations", {}):
                    continue
                spec = each["spec"]
                wanted = spec.get("podSelector", spec.get("selector", {}))
                wanted = wanted.get("matchLabels", wanted)
                assert wanted.items() <= labels.items()
                assert not wanted.items() <= test["spec"]["template"]["metadata"]["labels"].items()


def test_autoscaling_owns_the_number_of_replicas() -> None:
    [deployment] = of(render("patient-service", {"autoscaling": {"enabled": True}, "replicas": 3}), "Deployment")
    assert "replicas" not in deployment["spec"]
    [deployment] = of(render("patient-service", {"replicas": 3}), "Deployment")
    assert deployment["spec"]["replicas"] == 3


def test_a_changed_setting_rolls_the_pods_and_an_unchanged_one_does_not() -> None:
    def checksum(values: dict[str, Any]) -> str:
        [deployment] = of(render("patient-service", values), "Deployment")
        return deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum({}) == checksum({}) != checksum({"config": {"CACHE_TTL_SECONDS": 60}})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": "two"}, "replicas"),
        ({"env": {"not a name": "x"}}, "not a name"),
        ({"database": {"existingSecret": "Not_A_Name"}}, "existingSecret"),
        ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"replicas": 101}, "replicas"),
        ({"config": {"JWT_SECRET": "plain"}}, "JWT_SECRET"),
        ({"kafka": {"bootstrapServers": "kafka"}}, "bootstrapServers"),
        ({"autoscaling": {"enabled": True, "minReplicas": 9}}, "autoscaling.minReplicas is above"),
        ({"ingress": {"enabled": True}}, "not reached from outside"),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(helm_python.HelmError, match=re.escape(sentence)):
        render("patient-service", values)


@pytest.mark.contract("E01")
def test_topics_are_those_of_the_contracts_and_users_may_what_their_service_does() -> None:
    manifests = render("kafka", {"mode": "strimzi", "topicPrefix": "t."})
    topics = {each["spec"]["topicName"]: each["spec"] for each in of(manifests, "KafkaTopic")}
    assert topics.keys() == {f"t.{topic.name}" for topic in ALL_TOPICS}
    for topic in ALL_TOPICS:
        assert topics[f"t.{topic.name}"]["config"] == topic.config
    read = {(group, topic.name) for topic in TOPICS for group in topic.groups}
    granted = set()
    for user in of(manifests, "KafkaUser"):
        acls = user["spec"]["authorization"]["acls"]
        groups = [each["resource"]["name"].removeprefix("t.") for each in acls if each["resource"]["type"] == "group"]
        for each in acls:
            name = each["resource"].get("name", "").removeprefix("t.")
            if each["resource"]["type"] == "topic" and "Read" in each["operations"] and not name.endswith(".dlq"):
                granted |= {(group, name) for group in groups}
    assert granted == read


@pytest.mark.contract("C03")
def test_the_operator_may_do_what_the_charts_need_and_no_more() -> None:
    """The kinds that it keeps are those that the charts render; no wildcard stands anywhere."""
    [role] = of(render(OPERATOR), "ClusterRole")
    rules = role["rules"]
    assert not [each for each in rules if "*" in each["verbs"] + each["resources"] + each["apiGroups"]]
    kept = {
        (group, resource)
        for each in rules
        if {"patch", "create", "delete"} <= set(each["verbs"])
        for group in each["apiGroups"]
        for resource in each["resources"]
    }
    rendered = {
        (each["apiVersion"].rpartition("/")[0], f"{each['kind'].lower()}s".replace("policys", "policies"))
        for chart, values in combinations()
        if chart != OPERATOR
        for each in render(chart, values)
        if each["kind"] != "Job"
    }
    rendered = {
        (group, name.replace("prometheuss", "prometheuses").replace("ingresss", "ingresses"))
        for group, name in rendered
    }
    assert kept == rendered | {("", "secrets")}


def test_nothing_but_the_charts_describes_a_deployment() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.yaml", "*.yml", "*.tpl", "*.json"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    offenders = []
    for path in listed.stdout.split():
        if not path.startswith(("charts/", "tests/")) and re.search(
            r"^\s*kind:\s*(Deployment|StatefulSet)\b", (ROOT / path).read_text(errors="replace"), re.MULTILINE
        ):
            offenders.append(path)
    assert not offenders


def test_templates_ask_the_cluster_nothing_and_draw_no_lots() -> None:
    for path in CHARTS.rglob("templates/*"):
        if path.is_file():
            for word in ("lookup ", "rand", ".Capabilities", "genSelfSigned", "now "):
                assert not re.search(r"\{\{[^}]*\b" + re.escape(word), path.read_text()), f"{path}: {word}"


@pytest.mark.contract("C03")
@pytest.mark.parametrize("chart", [*SERVICES, *INFRASTRUCTURE, OPERATOR])
def test_each_chart_has_a_helm_test_that_asks_the_door_of_its_own_release(chart: str) -> None:
    manifests = render(chart, {}, name="blue")
    services = {each["metadata"]["name"]: each["spec"]["ports"] for each in of(manifests, "Service")}
    [job] = of(manifests, "Job")
    command = " ".join(job["spec"]["template"]["spec"]["containers"][0]["command"])
    asked = [name for name in services if re.search(rf"\b{name}\b", command)]
    assert asked
    given = {each["image"] for pod in pods(manifests) for each in pod["containers"]}
    assert {each["image"] for each in job["spec"]["template"]["spec"]["containers"]} <= given


def test_hooks_are_tests() -> None:
    for chart, values in combinations():
        for each in render(chart, values):
            hook = (each["metadata"].get("annotations") or {}).get("helm.sh/hook")
            assert hook in (None, "test")


def test_values_files_stay_short() -> None:
    for service in SERVICES:
        lines = (CHARTS / service / "values.yaml").read_text().splitlines()
        assert len(lines) <= 40
        assert (CHARTS / service / "templates" / "all.yaml").read_text().count("\n") == 1
        assert yaml.safe_load((CHARTS / service / "Chart.yaml").read_text())["name"] == service
