"""What values lead to, and which are refused."""

import re
from typing import Any

import helm_python
import pytest
from healthcare_contracts.topics import ALL_TOPICS, GROUPS, REPLAYS, TOPICS

from tests.charts.rendering import (
    OPERATOR,
    of,
    render,
)

SERVICES = ("patient-service", "appointment-service", "billing-service", "auth-service", "analytics-service")


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


@pytest.mark.parametrize(
    ("chart", "values", "sentence"),
    [
        ("kafka", {"mode": "zookeeper"}, "/mode"),
        ("kafka", {"config": {"listeners": "x"}}, "listeners"),
        ("kafka", {"replicas": 0}, "/replicas"),
        ("postgres", {"mode": "rds"}, "/mode"),
        ("postgres", {"storage": {"size": "many"}}, "/storage/size"),
        ("redis", {"pasword": "x"}, "pasword"),
        ("monitoring", {"grafana": {"enabled": "yes"}}, "/grafana/enabled"),
        (OPERATOR, {"logLevel": "loud"}, "/logLevel"),
    ],
)
def test_wrong_values_of_the_others_are_refused_by_name(chart: str, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(helm_python.HelmError, match=re.escape(sentence)):
        render(chart, values)


@pytest.mark.contract("E01")
def test_topics_are_those_of_the_contracts() -> None:
    manifests = render("kafka", {"mode": "strimzi", "topicPrefix": "t."})
    topics = {each["spec"]["topicName"]: each["spec"] for each in of(manifests, "KafkaTopic")}
    assert topics.keys() == {f"t.{topic.name}" for topic in ALL_TOPICS}
    for topic in ALL_TOPICS:
        assert topics[f"t.{topic.name}"]["config"] == topic.config


@pytest.mark.contract("Z03", "C05")
@pytest.mark.parametrize("service", SERVICES)
def test_a_user_may_exactly_what_the_contracts_say_of_its_service(service: str) -> None:
    users = {each["metadata"]["name"]: each for each in of(render("kafka", {"mode": "strimzi"}), "KafkaUser")}
    assert users.keys() == {f"demo-kafka-{each}" for each in SERVICES}
    rights: dict[tuple[str, str], set[str]] = {}
    for acl in users[f"demo-kafka-{service}"]["spec"]["authorization"]["acls"]:
        assert acl["resource"].get("patternType", "literal") == "literal"
        place = (acl["resource"]["type"], acl["resource"].get("name", ""))
        rights[place] = rights.get(place, set()) | set(acl["operations"])
    expected: dict[tuple[str, str], set[str]] = {("cluster", ""): {"IdempotentWrite"}}
    group = GROUPS.get(service)
    for topic in (*TOPICS, *REPLAYS):
        writes, reads = service in topic.producers, group in topic.groups
        if writes or reads:
            may = {"Describe"} | ({"Write"} if writes else set()) | ({"Read"} if reads else set())
            expected["topic", topic.name] = may
        if reads:
            expected["topic", f"{topic.name}.{group}.dlq"] = {"Read", "Write", "Describe", "Delete"}
    if group:
        expected["group", group] = {"Read", "Describe"}
    assert rights == expected
