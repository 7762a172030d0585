"""The stand-in says what the real operators say, and refuses what they refuse."""

from typing import Any

import pytest

from tests.cluster import crds
from tests.cluster.controlplane import ControlPlane, KubectlError, eventually
from tests.cluster.standin.loop import StandIn

Manifest = dict[str, Any]
STRIMZI, POSTGRES, MONITORING = "kafka.strimzi.io/v1", "postgresql.cnpg.io/v1", "monitoring.coreos.com/v1"
ROUTES = "gateway.networking.k8s.io/v1"
OF_BUS = {"strimzi.io/cluster": "bus"}


def resource(api: str, kind: str, name: str, /, labels: dict[str, str] | None = None, **spec: Any) -> Manifest:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels or {}}, "spec": spec}


def kafka(*ports: int) -> list[Manifest]:
    listeners = [{"name": f"l{port}", "port": port, "type": "internal", "tls": False} for port in ports or (9092,)]
    storage = {"type": "ephemeral"}
    pool = resource(
        STRIMZI, "KafkaNodePool", "dual", OF_BUS, replicas=1, roles=["controller", "broker"], storage=storage
    )
    return [resource(STRIMZI, "Kafka", "bus", kafka={"listeners": listeners}), pool]


def conditions(cluster: ControlPlane, kind: str, name: str, namespace: str) -> dict[str, str]:
    found = cluster.get(kind, name, namespace) or {}
    return {said["type"]: said["status"] for said in found.get("status", {}).get("conditions", [])}


def status(cluster: ControlPlane, kind: str, name: str, namespace: str) -> Manifest:
    return (cluster.get(kind, name, namespace) or {}).get("status", {})


def test_every_definition_is_served_and_is_the_released_one(third_party: ControlPlane) -> None:
    served = third_party.kubectl("api-resources", "--output=name").split()
    for name in crds.names():
        assert crds.load(name)["metadata"]["name"] in served


def test_a_changed_definition_is_refused(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / crds.names()[0]
    changed.parent.mkdir()
    changed.write_text("kind: CustomResourceDefinition\n")
    monkeypatch.setenv("THIRD_PARTY_CRDS", str(tmp_path))
    with pytest.raises(crds.ChecksumError):
        crds.load(crds.names()[0])


def test_kafka_comes_up_with_its_listeners_service_and_users(
    third_party: ControlPlane, standin: StandIn, namespace: str
) -> None:
    user = resource(STRIMZI, "KafkaUser", "writer", OF_BUS, authentication={"type": "scram-sha-512"})
    topic = resource(STRIMZI, "KafkaTopic", "patient", OF_BUS, partitions=3, replicas=1, topicName="patient.created")
    third_party.apply(*kafka(9092), user, topic, namespace=namespace)
    for kind, name in (("kafka", "bus"), ("kafkauser", "writer"), ("kafkatopic", "patient")):
        eventually(lambda k=kind, n=name: conditions(third_party, k, n, namespace) == {"Ready": "True"}, name, 20)
    found = third_party.get("kafka", "bus", namespace)
    assert found
    assert found["status"]["listeners"][0]["bootstrapServers"] == f"bus-kafka-bootstrap.{namespace}.svc:9092"
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    assert third_party.get("service", "bus-kafka-bootstrap", namespace)
    assert "password" in (third_party.get("secret", "writer", namespace) or {})["data"]


@pytest.mark.parametrize("ports", [(9092, 9404), (9999,)])
def test_kafka_refuses_a_forbidden_port(
    third_party: ControlPlane, standin: StandIn, namespace: str, ports: tuple[int, ...]
) -> None:
    third_party.apply(*kafka(*ports), namespace=namespace)
    eventually(lambda: conditions(third_party, "kafka", "bus", namespace) == {"NotReady": "True"}, "NotReady", 20)


def test_kafka_needs_a_pool_and_a_user_its_password(
    third_party: ControlPlane, standin: StandIn, namespace: str
) -> None:
    only, pool = kafka()
    secret = {"secretKeyRef": {"name": "elsewhere", "key": "password"}}
    login = {"type": "scram-sha-512", "password": {"valueFrom": secret}}
    third_party.apply(only, resource(STRIMZI, "KafkaUser", "reader", OF_BUS, authentication=login), namespace=namespace)
    for kind, name in (("kafka", "bus"), ("kafkauser", "reader")):
        eventually(lambda k=kind, n=name: conditions(third_party, k, n, namespace) == {"NotReady": "True"}, name, 20)
    third_party.apply(pool, namespace=namespace)
    third_party.kubectl("create", "secret", "generic", "elsewhere", "--from-literal=password=x", "-n", namespace)
    for kind, name in (("kafka", "bus"), ("kafkauser", "reader")):
        eventually(lambda k=kind, n=name: conditions(third_party, k, n, namespace) == {"Ready": "True"}, name, 20)


def test_a_topic_without_its_label_never_gets_a_status(
    third_party: ControlPlane, standin: StandIn, namespace: str
) -> None:
    stray = resource(STRIMZI, "KafkaTopic", "stray", partitions=1, replicas=1)
    known = resource(STRIMZI, "KafkaTopic", "known", OF_BUS, partitions=1, replicas=1)
    third_party.apply(*kafka(), stray, known, namespace=namespace)
    eventually(lambda: conditions(third_party, "kafkatopic", "known", namespace) == {"Ready": "True"}, "known", 20)
    assert status(third_party, "kafkatopic", "stray", namespace) == {}


def test_a_resource_fails_or_stays_silent_when_told_to(
    third_party: ControlPlane, standin: StandIn, namespace: str
) -> None:
    standin.behave("Kafka", "slow", namespace)
    standin.behave("Cluster", "failing", namespace)
    cluster = resource(POSTGRES, "Cluster", "db", instances=1, storage={"size": "1Gi"})
    third_party.apply(*kafka(), cluster, namespace=namespace)
    eventually(lambda: conditions(third_party, "cluster.postgresql.cnpg.io", "db", namespace), "a verdict", 20)
    assert conditions(third_party, "cluster.postgresql.cnpg.io", "db", namespace)["Ready"] == "False"
    assert status(third_party, "kafka", "bus", namespace) == {}
    standin.behave("Kafka", "ready", namespace)
    eventually(lambda: conditions(third_party, "kafka", "bus", namespace) == {"Ready": "True"}, "Kafka", 20)


def test_a_database_needs_its_cluster_and_its_owner(
    third_party: ControlPlane, standin: StandIn, namespace: str
) -> None:
    kind, of = "database.postgresql.cnpg.io", {"name": "db"}
    database = resource(POSTGRES, "Database", "patients", cluster=of, name="patients", owner="patient")
    cluster = resource(POSTGRES, "Cluster", "db", instances=2, storage={"size": "1Gi"})
    third_party.apply(database, cluster, namespace=namespace)
    eventually(lambda: "role" in status(third_party, kind, "patients", namespace).get("message", ""), "a refusal", 20)
    found = status(third_party, "cluster.postgresql.cnpg.io", "db", namespace)
    assert (found["phase"], found["readyInstances"]) == ("Cluster in healthy state", 2)
    role = resource(POSTGRES, "DatabaseRole", "patient", cluster=of, name="patient", passwordSecret={"name": "login"})
    third_party.apply(role, namespace=namespace)
    waiting = "databaserole.postgresql.cnpg.io"
    eventually(lambda: status(third_party, waiting, "patient", namespace).get("applied") is False, "a refusal", 20)
    third_party.kubectl("create", "secret", "generic", "login", "--from-literal=password=x", "-n", namespace)
    eventually(lambda: status(third_party, kind, "patients", namespace).get("applied") is True, "the database", 20)


def test_a_monitor_is_bound_only_where_a_server_selects_it(
    third_party: ControlPlane, standin: StandIn, namespace: str
) -> None:
    endpoints, everything = [{"port": "http"}], {"matchLabels": {"app": "x"}}
    wanted = {"matchLabels": {"release": "ours"}}
    third_party.apply(
        resource(MONITORING, "Prometheus", "prometheus", serviceMonitorSelector=wanted),
        resource(MONITORING, "ServiceMonitor", "seen", {"release": "ours"}, selector=everything, endpoints=endpoints),
        resource(MONITORING, "ServiceMonitor", "unseen", selector=everything, endpoints=endpoints),
        namespace=namespace,
    )
    eventually(lambda: status(third_party, "servicemonitor", "seen", namespace).get("bindings"), "a binding", 20)
    assert status(third_party, "servicemonitor", "unseen", namespace) == {}
    assert conditions(third_party, "prometheus", "prometheus", namespace)["Available"] == "True"


def test_a_route_needs_a_listener_and_a_service(third_party: ControlPlane, standin: StandIn, namespace: str) -> None:
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
    rules = [{"backendRefs": [{"name": "nobody", "port": 80}]}]
    third_party.apply(
        resource(ROUTES, "Gateway", "edge", gatewayClassName="any", listeners=listeners),
        resource(ROUTES, "HTTPRoute", "lost", parentRefs=[{"name": "edge", "sectionName": "other"}], rules=rules),
        namespace=namespace,
    )
    parents = eventually(lambda: status(third_party, "httproute", "lost", namespace).get("parents"), "a verdict", 20)
    assert {said["reason"] for said in parents[0]["conditions"]} == {"NoMatchingParent", "BackendNotFound"}


def test_what_the_definitions_forbid_never_reaches_the_stand_in(third_party: ControlPlane, namespace: str) -> None:
    broken, _ = kafka()
    broken["spec"]["kafka"]["listeners"][0]["type"] = "carrier-pigeon"
    with pytest.raises(KubectlError, match="carrier-pigeon"):
        third_party.apply(broken, namespace=namespace)


def test_its_words_do_not_move_while_nothing_changes(
    third_party: ControlPlane, standin: StandIn, namespace: str
) -> None:
    third_party.apply(*kafka(), namespace=namespace)
    eventually(lambda: conditions(third_party, "kafka", "bus", namespace) == {"Ready": "True"}, "Kafka", 20)
    before = third_party.get("kafka", "bus", namespace)
    third_party.apply(*[kafka()[1] | {"metadata": {"name": "second", "labels": OF_BUS}}], namespace=namespace)
    eventually(lambda: len(status(third_party, "kafka", "bus", namespace)["kafkaNodePools"]) == 2, "the pool", 20)
    after = third_party.get("kafka", "bus", namespace)
    assert before and after
    assert int(after["metadata"]["resourceVersion"]) > int(before["metadata"]["resourceVersion"])
    assert len(standin.problems) == 0
