"""What another operator refuses, or cannot do, the platform says: nothing is called right that was asked otherwise."""

import base64
import json
import re
from typing import Any

import pytest
from healthcare_operator import alertmanager, kafka_config, readiness, retained, validation
from healthcare_operator.conditions import Seen
from healthcare_operator.excerpt import LONGEST_MESSAGE, excerpt
from healthcare_operator.notices import notices
from healthcare_operator.platform import Manifest, Platform, Ref
from healthcare_operator.quantity import number
from healthcare_operator.spec import Spec
from healthcare_operator.status import status
from hpctl.layout import ROOT
from pydantic import ValidationError

from tests.cluster.controlplane import KubectlError, eventually
from tests.cluster.standin.loop import StandIn
from tests.operator.platforms import BUILTIN, Platforms
from tests.operator.test_deletion import NO_SERVICES

pytestmark = pytest.mark.contract("Z08")

STRIMZI: dict[str, Any] = {**BUILTIN, "kafka": {"mode": "strimzi"}, "services": NO_SERVICES}
WATCHED: dict[str, Any] = {**BUILTIN, "monitoring": {"mode": "prometheus-operator"}, "services": NO_SERVICES}
CONFIG = "route: {receiver: a}\nreceivers: [{name: a}]\n"


def test_a_storage_class_that_does_not_exist_is_told_in_the_words_of_the_one_that_missed_it(
    platforms: Platforms,
) -> None:
    monitoring = {"mode": "prometheus-operator", "storage": {"className": "nowhere"}}
    platforms.apply({**WATCHED, "monitoring": monitoring})
    platforms.holds("MonitoringReady", "False")
    eventually(lambda: "nowhere" in platforms.condition("MonitoringReady")["message"], "the reason", 60)
    assert "Prometheus/care-monitoring" in platforms.condition("MonitoringReady")["message"]


def bound(platforms: Platforms, expandable: bool) -> str:
    """A class whose volumes are there already, so that claims are bound without a provisioner."""
    name = f"class-{platforms.namespace}"
    about = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    made = [{**about, "provisioner": "none.example.com", "allowVolumeExpansion": expandable}]
    for index in range(4):
        meta = {"name": f"{name}-{index}"}
        spec = {"capacity": {"storage": "8Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": name}
        spec |= {"csi": {"driver": "none.example.com", "volumeHandle": f"{name}-{index}"}}
        made.append({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": spec})
    platforms.cluster.apply(*made)
    return name


def claim(platforms: Platforms) -> Manifest:
    return platforms.there("persistentvolumeclaim", "prometheus-care-monitoring-db-prometheus-care-monitoring-0")


@pytest.mark.parametrize("expandable", [True, False])
def test_storage_that_grows_reaches_the_claim_of_prometheus_or_is_said_not_to(
    platforms: Platforms, expandable: bool
) -> None:
    storage = {"className": bound(platforms, expandable), "size": "8Gi"}
    platforms.apply({**WATCHED, "monitoring": {"mode": "prometheus-operator", "storage": storage}})
    platforms.ready()
    platforms.holds("MonitoringReady", "True")  # which comes after its volume
    eventually(lambda: claim(platforms)["status"]["phase"] == "Bound", "a volume", 30)
    platforms.edit({"monitoring": {"storage": {"size": "10Gi"}}})
    if expandable:
        grown = lambda: claim(platforms)["spec"]["resources"]["requests"]["storage"] == "10Gi"  # noqa: E731
        eventually(grown, "a claim of 10Gi", 60)
        assert platforms.condition("ActionRequired")["status"] == "False"
    else:
        told = platforms.holds("ActionRequired", "True", "VolumeNotGrown")
        assert "has 8Gi, and the spec asks for 10Gi" in told["message"]
        assert "storageclass" in told["message"].lower(), "in the API server's words"


def test_more_brokers_do_not_give_old_topics_more_replicas_and_that_is_said(platforms: Platforms) -> None:
    platforms.apply(STRIMZI)
    platforms.ready()
    assert platforms.condition("ActionRequired")["status"] == "False"
    platforms.edit({"kafka": {"replicas": 3}})
    told = platforms.holds("ActionRequired", "True", "TopicReplication")
    assert "kafka.cruiseControl" in told["message"]
    assert re.search(r"topics \([a-z.-]+ first\) do not have the 3 replicas", told["message"])
    platforms.ready()
    assert platforms.condition("Degraded")["status"] == "False"
    with pytest.raises(KubectlError, match="cannot become fewer"):
        platforms.edit({"kafka": {"replicas": 1}})
    platforms.edit({"kafka": {"cruiseControl": True}})
    platforms.holds("ActionRequired", "False")
    platforms.ready()


def test_a_platform_that_is_changed_is_updating_and_not_degraded(platforms: Platforms, standin: StandIn) -> None:
    platforms.apply({**STRIMZI, "services": {**NO_SERVICES, "api-gateway": {}}})
    platforms.ready()
    standin.behave("Kafka", "slow", platforms.namespace)
    platforms.edit({"kafka": {"config": {"log.retention.hours": "24"}}})
    platforms.holds("KafkaReady", "False")
    assert platforms.status()["phase"] == "Updating"
    assert platforms.condition("Degraded")["status"] == "False"
    standin.behave("Kafka", "ready", platforms.namespace)
    platforms.ready()


@pytest.mark.parametrize("mode", ["builtin", "cloudnative-pg"])
def test_a_database_that_is_kept_does_not_become_an_older_one(platforms: Platforms, mode: str) -> None:
    spec = {**BUILTIN, "postgres": {"mode": mode, "version": "17"}, "services": NO_SERVICES}
    platforms.apply(spec)
    platforms.ready()
    if mode == "builtin":
        kept = lambda: retained.ANNOTATION in _annotations(platforms, "data-care-postgres-0")  # noqa: E731
        eventually(kept, "a version on the volume", 40)
    platforms.kubectl("delete", "hcp", "care", "--timeout=20s")
    eventually(lambda: platforms.get("statefulset", "care-kafka") is None, "an end", 30)
    platforms.apply({**spec, "postgres": {"mode": mode, "version": "16"}})
    told = platforms.holds("Stalled", "True", "InvalidSpec")
    assert "17" in told["message"]
    assert "16" in told["message"]
    platforms.kubectl("delete", "hcp", "care", "--timeout=20s")
    platforms.apply(spec)
    platforms.ready()


def _annotations(platforms: Platforms, name: str) -> dict[str, str]:
    found = platforms.there("persistentvolumeclaim", name)["metadata"].get("annotations", {})
    return dict(found)


def test_fewer_brokers_than_are_kept_are_refused_to_a_new_platform(platforms: Platforms) -> None:
    platforms.apply({**STRIMZI, "kafka": {"mode": "strimzi", "replicas": 3}})
    platforms.ready()
    platforms.kubectl("delete", "hcp", "care", "--timeout=20s")
    eventually(lambda: platforms.get("statefulset", "care-postgres") is None, "an end", 30)
    platforms.apply(STRIMZI)
    assert "kafka.replicas" in platforms.holds("Stalled", "True")["message"]


def test_an_alertmanager_configuration_that_is_none_is_refused(platforms: Platforms) -> None:
    platforms.kubectl("create", "secret", "generic", "whom", "--from-literal=alertmanager.yaml=sesame: open")
    platforms.apply({**WATCHED, "monitoring": {"mode": "prometheus-operator", "alertmanagerSecret": "whom"}})
    told = platforms.holds("Stalled", "True")["message"]
    assert "alertmanager.yaml" in told
    assert "sesame" not in told
    good = base64.b64encode(CONFIG.encode()).decode()
    platforms.kubectl("patch", "secret", "whom", "--patch", json.dumps({"data": {"alertmanager.yaml": good}}))
    platforms.ready()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CONFIG, None),
        ("route: {receiver: a, routes: [{receiver: b}]}\nreceivers: [{name: a}, {name: b}]", None),
        ("", "no sections"),
        ("just words", "no sections"),
        ("[1, 2]", "no sections"),
        ("a: [", "no YAML (line 1)"),
        ("\tx: y", "no YAML"),
        ("receivers: [{name: a}]", "no route"),
        ("route: {}\nreceivers: []", "no route with a receiver"),
        ("route: {receiver: a}", "not defined"),
        ("route: {receiver: a, routes: [{receiver: b}]}\nreceivers: [{name: a}]", "not defined"),
        ("route: {receiver: a}\nreceivers: [{name: a}, {name: a}]", "two receivers"),
        ("route: {receiver: a}\nreceivers: [{}]", "without a name"),
        (CONFIG + "recievers: []", "does not know"),
    ],
)
def test_what_alertmanager_would_not_start_with(text: str, said: str | None) -> None:
    found = alertmanager.fault(text)
    assert (found is None) == (said is None), found
    assert not said or said in str(found)


@pytest.mark.parametrize("retention", ["12h", "15d", "9999w", "99999d", "999999h", "99y"])
def test_a_retention_that_is_taken_can_be_counted(retention: str) -> None:
    """Prometheus and Go keep durations as nanoseconds in 63 bits: 292 years."""
    hours = {"h": 1, "d": 24, "w": 168, "y": 8760}[retention[-1]]
    assert int(retention[:-1]) * hours * 3_600_000_000_000 < 2**63
    assert platform({"monitoring": {"retention": retention}}).spec.monitoring.retention == retention


@pytest.mark.parametrize("retention", ["9999999w", "9999999h", "10000w", "100000d", "1000000h", "100y", "0d", "5"])
def test_a_retention_that_cannot_be_counted_is_refused(retention: str) -> None:
    with pytest.raises(ValidationError, match="retention is a number of"):
        platform({"monitoring": {"retention": retention}})


def platform(spec: dict[str, Any]) -> Platform:
    return Platform("care", "here", "uid", 1, Spec.model_validate(spec))


@pytest.mark.parametrize("key", [*kafka_config.FORBIDDEN_PREFIXES, "sasl.enabled.mechanisms", "Listeners"])
def test_a_key_that_strimzi_ignores_is_refused(key: str) -> None:
    said = validation.fault(platform({"kafka": {"config": {key: "x"}}}), {})
    assert said == f"kafka.config.{key} is managed by Strimzi and cannot be set."


@pytest.mark.parametrize("key", [*sorted(kafka_config.ALLOWED), "log.retention.hours", "num.partitions"])
def test_a_key_that_strimzi_takes_is_taken(key: str) -> None:
    assert validation.fault(platform({"kafka": {"config": {key: "x"}}}), {}) is None


@pytest.mark.parametrize(
    ("key", "said"),
    [("log.retention.hours", ""), ("log.retention.hour", "log.retention.hours was meant"), ("foo", "has no effect")],
)
def test_a_key_that_kafka_does_not_know_is_said(key: str, said: str) -> None:
    kafka = {"kind": "Kafka", "apiVersion": "kafka.strimzi.io/v1", "metadata": {"name": "care-kafka", "namespace": "n"}}
    found = notices({"kafka": [{**kafka, "spec": {"kafka": {"config": {key: "24"}}}}]}, {})
    assert [reason for reason, _ in found] == (["UnknownKafkaKey"] if said else [])
    assert said in "".join(sentence for _, sentence in found)


def test_the_chart_refuses_the_same_keys_as_the_operator() -> None:
    schema = json.loads((ROOT / "charts/kafka/values.schema.json").read_text())["properties"]["config"]
    allowed, other = schema["propertyNames"]["anyOf"]
    assert set(allowed["enum"]) == kafka_config.ALLOWED
    prefixes = other["not"]["pattern"].removeprefix("^(").removesuffix(")").replace("\\", "").split("|")
    assert tuple(prefixes) == kafka_config.FORBIDDEN_PREFIXES


@pytest.mark.parametrize("length", [10, 1024, 5000, 32_768, 100_000])
@pytest.mark.parametrize("letter", ["x", "ü", "漢"])
def test_a_reason_is_told_wherever_it_stands(length: int, letter: str) -> None:
    """Strimzi's are long, and what is wrong comes last."""
    said = "first words " + letter * length + " the reason"
    kafka = {"kind": "Kafka", "apiVersion": "kafka.strimzi.io/v1", "metadata": {"name": "care-kafka", "namespace": "n"}}
    conditions = [{"type": "NotReady", "status": "True", "message": said}]
    live = {**kafka, "status": {"conditions": conditions}}
    told = status(Seen(platform({}), {"kafka": [kafka]}, {Ref.of(kafka): live}), {}, "2026-01-02T03:04:05Z")
    [ready] = [each["message"] for each in told["conditions"] if each["type"] == "KafkaReady"]
    assert ready.startswith("Kafka/care-kafka first words")
    assert ready.endswith("the reason")
    assert len(ready.encode()) <= LONGEST_MESSAGE
    assert len(said.encode()) > LONGEST_MESSAGE - 100 or said in ready


def test_what_is_left_out_of_a_text_is_said() -> None:
    assert excerpt("short", 100) == "short"
    cut = excerpt("a" * 500, 100)
    assert "500 bytes, shortened to 100" in cut
    assert len(cut.encode()) <= 100


def prometheus(**conditions: str) -> Manifest:
    listed = []
    for kind, said in conditions.items():
        value, _, message = said.partition(":")
        listed.append({"type": kind, "status": value, "message": message, "observedGeneration": 2})
    return {"kind": "Prometheus", "metadata": {"generation": 2}, "status": {"conditions": listed}}


def test_of_two_verdicts_on_a_prometheus_the_one_with_the_reason_is_told() -> None:
    assert readiness.ready(prometheus(Available="True", Reconciled="True")) == (True, "")
    assert readiness.ready(prometheus(Available="False:no set", Reconciled="False:no class")) == (False, "no class")
    assert readiness.ready(prometheus(Available="True", Reconciled="False:no class")) == (False, "no class")
    assert readiness.ready(prometheus(Available="Degraded:one pod", Reconciled="True")) == (False, "one pod")
    stale = prometheus(Available="True", Reconciled="True")
    stale["metadata"]["generation"] = 3
    assert readiness.ready(stale)[0] is False


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("8Gi", "10Gi"),
        ("1Ti", "1025Gi"),
        ("500m", "1"),
        ("1e3", "1001"),
        ("999M", "1Gi"),
        ("0", "1n"),
        ("1Gi", "2G"),
        ("1050M", "1Gi"),
    ],
)
def test_quantities_are_compared_by_what_they_mean(smaller: str, larger: str) -> None:
    assert number(smaller) < number(larger)
