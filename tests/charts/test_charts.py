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

from tests.charts.rendering import CHARTS, EVERYTHING, INFRASTRUCTURE, ROOT, SERVICES, combinations, of, render

CASES = [pytest.param(chart, values, id=f"{chart}-{number}") for number, (chart, values) in enumerate(combinations())]
THEIRS = ("kafka.strimzi.io", "postgresql.cnpg.io", "monitoring.coreos.com", "gateway.networking.k8s.io")


def pods(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every pod specification."""
    templates = [
        each["spec"]["template"]["spec"] for kind in ("Deployment", "StatefulSet") for each in of(manifests, kind)
    ]
    return templates + [each["spec"] for each in of(manifests, "Pod")]


@pytest.mark.contract("C03", "R3")
@pytest.mark.parametrize("chart", [*SERVICES, *INFRASTRUCTURE])
def test_helm_finds_nothing_to_say_about_a_chart(chart: str) -> None:
    found = helm_python.lint(CHARTS / chart, strict=True)
    assert found["errors"] == []
    assert {each["error"] for each in found["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize(("chart", "values"), CASES)
def test_every_object_is_what_kubernetes_knows(chart: str, values: dict[str, Any]) -> None:
    manifests = render(chart, values)
    assert manifests
    for each in manifests:
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
    manifests = render(service, name="anything")
    [config] = of(manifests, "ConfigMap")
    [own] = of(manifests, "Service")
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
    assert own["spec"]["ports"][0]["port"] == int(told[variable]) == PORTS[variable]


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
    names = [
        {
            (each["kind"], each["metadata"]["name"])
            for each in render(service, {"fullnameOverride": f"{platform}-{service}", **EVERYTHING})
        }
        for platform in ("one", "two")
        for service in SERVICES
    ]
    assert len(set().union(*names)) == sum(map(len, names))


def test_autoscaling_owns_the_number_of_replicas() -> None:
    [deployment] = of(render("patient-service", {"autoscaling": {"enabled": True}, "replicas": 3}), "Deployment")
    assert "replicas" not in deployment["spec"]
    [deployment] = of(render("patient-service", {"replicas": 3}), "Deployment")
    assert deployment["spec"]["replicas"] == 3


def test_a_changed_setting_rolls_the_pods_and_an_unchanged_one_does_not() -> None:
    def checksum(values: dict[str, Any]) -> str:
        [deployment] = of(render("patient-service", values), "Deployment")
        return deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum({}) == checksum({}) != checksum({"env": {"CACHE_TTL_SECONDS": 60}})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": "two"}, "replicas"),
        ({"env": {"not a name": "x"}}, "not a name"),
        ({"database": {"existingSecret": "Not_A_Name"}}, "existingSecret"),
        ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
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
