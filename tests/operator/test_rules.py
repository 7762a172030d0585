"""The rules of the definition (CEL), each tried on a real API server: what it refuses, and beside it what it takes."""

from collections.abc import Iterator
from typing import Any

import pytest
from healthcare_operator import crd
from healthcare_operator.spec import naming
from healthcare_operator.spec.fields import Worded

from tests.cluster.controlplane import ControlPlane, KubectlError
from tests.operator.platforms import resource

Spec = dict[str, Any]

KAFKA = {"mode": "external", "bootstrapServers": "b-1.example:9096"}
SASL = {"securityProtocol": "SASL_SSL", "username": "us", "passwordSecret": "kafka", "caSecret": "ca"}
POSTGRES = {"mode": "external", "secrets": {"auth-service": "db"}}
REDIS = {"mode": "external", "host": "cache.example"}
GATEWAY = {"mode": "gateway-api", "gateways": [{"name": "edge"}]}

Refused = tuple[Spec, str, Spec]
"""A spec, the sentence that refuses it, and its nearest neighbour that is taken."""

EXCLUSIVE: list[Refused] = [
    (
        {"kafka": {"mode": "external"}},
        "kafka.mode external needs bootstrapServers",
        {"kafka": KAFKA},
    ),
    (
        {"kafka": {"bootstrapServers": "b:9092"}},
        "bootstrapServers needs kafka.mode external",
        {"kafka": {}},
    ),
    (
        {"kafka": {"mode": "strimzi", "access": SASL}},
        "kafka.access needs kafka.mode external",
        {"kafka": {**KAFKA, "access": SASL}},
    ),
    (
        {"kafka": {**KAFKA, "access": {"securityProtocol": "SASL_SSL", "username": "us"}}},
        "kafka.access with SASL needs username and passwordSecret",
        {"kafka": {**KAFKA, "access": SASL}},
    ),
    (
        {"kafka": {**KAFKA, "access": {"securityProtocol": "SSL", "passwordSecret": "kafka"}}},
        "kafka.access.passwordSecret needs a securityProtocol with SASL",
        {"kafka": {**KAFKA, "access": {"securityProtocol": "SSL"}}},
    ),
    (
        {"kafka": {**KAFKA, "access": {"caSecret": "ca"}}},
        "kafka.access.caSecret needs a securityProtocol with SSL",
        {"kafka": {**KAFKA, "access": {"securityProtocol": "SSL", "caSecret": "ca"}}},
    ),
    (
        {"kafka": {"mode": "builtin", "replicas": 3}},
        "the built-in Kafka is one node",
        {"kafka": {"mode": "strimzi", "replicas": 3}},
    ),
    (
        {"kafka": {"mode": "builtin", "cruiseControl": True}},
        "kafka.cruiseControl needs kafka.mode strimzi",
        {"kafka": {"mode": "strimzi", "cruiseControl": True}},
    ),
    (
        {"postgres": {"mode": "builtin", "instances": 2}},
        "the built-in PostgreSQL is one server",
        {"postgres": {"mode": "cloudnative-pg", "instances": 2}},
    ),
    (
        {"postgres": {"mode": "external"}},
        "postgres.mode external needs secrets",
        {"postgres": POSTGRES},
    ),
    (
        {"postgres": {"mode": "builtin", "secrets": {"auth-service": "db"}}},
        "postgres.secrets needs postgres.mode external",
        {"postgres": {"mode": "builtin"}},
    ),
    (
        {"postgres": {"mode": "cloudnative-pg", "tls": "verify-full"}},
        "postgres.tls needs postgres.mode external",
        {"postgres": {**POSTGRES, "tls": "verify-full"}},
    ),
    (
        {"postgres": {**POSTGRES, "tls": "require", "caSecret": "ca"}},
        "postgres.caSecret needs tls verify-full",
        {"postgres": {**POSTGRES, "tls": "verify-full", "caSecret": "ca"}},
    ),
    (
        {"postgres": {**POSTGRES, "secrets": {"auth-service": "db", "billing-service": "db"}}},
        "postgres.secrets has one Secret for two services: each needs a database of its own",
        {"postgres": {**POSTGRES, "secrets": {"auth-service": "db", "billing-service": "db-2"}}},
    ),
    (
        {"postgres": {**POSTGRES, "secrets": {"api-gateway": "db"}}},
        "postgres.secrets has a key that is no service",
        {"postgres": {**POSTGRES, "secrets": {"billing-service": "db"}}},
    ),
    (
        {"postgres": {"version": "14.9"}},
        "postgres.version has to be 15 or newer",
        {"postgres": {"version": "15.1"}},
    ),
    (
        {"redis": {"mode": "external"}},
        "redis.mode external needs host",
        {"redis": REDIS},
    ),
    (
        {"redis": {"host": "cache.example"}},
        "redis.host needs redis.mode external",
        {"redis": {"mode": "disabled"}},
    ),
    (
        {"redis": {"passwordSecret": "redis"}},
        "redis.passwordSecret needs redis.mode external",
        {"redis": {**REDIS, "passwordSecret": "redis"}},
    ),
    (
        {"redis": {**REDIS, "caSecret": "ca"}},
        "redis.caSecret needs redis.tls",
        {"redis": {**REDIS, "tls": True, "caSecret": "ca"}},
    ),
    (
        {"redis": {"tls": True}},
        "redis.tls needs redis.mode external",
        {"redis": {**REDIS, "tls": True}},
    ),
    (
        {"exposure": {"mode": "gateway-api"}},
        "exposure.mode gateway-api needs gateways",
        {"exposure": GATEWAY},
    ),
    (
        {"exposure": {"mode": "none", "gateways": [{"name": "edge"}]}},
        "exposure.gateways needs mode gateway-api",
        {"exposure": {"mode": "none"}},
    ),
    (
        {"exposure": {**GATEWAY, "tlsSecret": "tls"}},
        "exposure.className, tlsSecret and annotations need mode ingress",
        {"exposure": {"mode": "ingress", "tlsSecret": "tls", "className": "any", "annotations": {"a": "b"}}},
    ),
    (
        {"services": {"patient-service": {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}}},
        "autoscaling.minReplicas is above maxReplicas",
        {"services": {"patient-service": {"autoscaling": {"minReplicas": 2, "maxReplicas": 2}}}},
    ),
    (
        {"services": {"patient-service": {"autoscaling": {"enabled": True, "external": True}}}},
        "autoscaling.enabled and autoscaling.external exclude each other",
        {"services": {"patient-service": {"autoscaling": {"external": True}}}},
    ),
    (
        {"profile": "production", "demoData": True},
        "demoData is refused with profile production",
        {"profile": "production", "demoData": False},
    ),
]
BUILTIN_POSTGRES = {"mode": "builtin", "version": "16.1"}

Changed = tuple[Spec, Spec, str, Spec]
"""A spec, a change of it that is refused, the sentence that refuses it, and a change that is taken."""

IMMUTABLE: list[Changed] = [
    (
        {"kafka": {"mode": "strimzi"}},
        {"kafka": {"mode": "builtin"}},
        "kafka.mode cannot be changed: the topics would stay behind",
        {"kafka": {"mode": "strimzi", "replicas": 3}},
    ),
    (
        {"kafka": {"topicPrefix": "one."}},
        {"kafka": {"topicPrefix": "two."}},
        "kafka.topicPrefix cannot be changed: topics are named by it",
        {"kafka": {"topicPrefix": "one.", "config": {"log.retention.hours": "24"}}},
    ),
    (
        {"kafka": {"replicas": 3}},
        {"kafka": {"replicas": 2}},
        "kafka.replicas cannot become fewer: what only those brokers hold would be lost",
        {"kafka": {"replicas": 5}},
    ),
    (
        {"kafka": {"topicPartitions": 6}},
        {"kafka": {"topicPartitions": 3}},
        "a topic cannot lose partitions",
        {"kafka": {"topicPartitions": 12}},
    ),
    (
        {"kafka": {"mode": "builtin", "storage": {"size": "2Gi"}}},
        {"kafka": {"mode": "builtin", "storage": {"size": "4Gi"}}},
        "the volume of the built-in Kafka cannot be changed",
        {"kafka": {"mode": "builtin", "storage": {"size": "2Gi"}, "topicPartitions": 4}},
    ),
    (
        {"kafka": {"storage": {"size": "20Gi"}}},
        {"kafka": {"storage": {"size": "19Gi"}}},
        "a volume cannot be made smaller",
        {"kafka": {"storage": {"size": "1Ti"}}},
    ),
    (
        {"postgres": {"storage": {"className": "fast"}}},
        {"postgres": {"storage": {"className": "slow"}}},
        "the storage class of a volume cannot be changed",
        {"postgres": {"storage": {"className": "fast", "size": "9Gi"}}},
    ),
    (
        {"postgres": {"mode": "builtin"}},
        {"postgres": {"mode": "cloudnative-pg"}},
        "postgres.mode cannot be changed: the data would stay behind",
        {"postgres": {"mode": "builtin", "resources": {"limits": {"cpu": 2}}}},
    ),
    (
        {"postgres": {"version": "17"}},
        {"postgres": {"version": "16.4"}},
        "postgres.version cannot go back to an older major version",
        {"postgres": {"version": "18.1"}},
    ),
    (
        {"postgres": BUILTIN_POSTGRES},
        {"postgres": {**BUILTIN_POSTGRES, "version": "17"}},
        "the built-in PostgreSQL cannot change its major version: its files are of the old one",
        {"postgres": {**BUILTIN_POSTGRES, "version": "16.2"}},
    ),
    (
        {"postgres": {"mode": "builtin"}},
        {"postgres": {"mode": "builtin", "storage": {"size": "9Gi"}}},
        "the volume of the built-in PostgreSQL cannot be changed",
        {"postgres": {"mode": "builtin", "storage": {"size": "8Gi"}}},
    ),
    (
        {"redis": {"mode": "builtin"}},
        {"redis": {"mode": "builtin", "storage": {"size": "2Gi"}}},
        "the volume of the built-in Redis cannot be changed",
        {"redis": {"mode": "disabled", "storage": {"size": "2Gi"}}},
    ),
    (
        {"monitoring": {"mode": "builtin"}},
        {"monitoring": {"mode": "builtin", "storage": {"size": "9Gi"}}},
        "the volume of the built-in Prometheus cannot be changed",
        {"monitoring": {"mode": "prometheus-operator", "storage": {"size": "9Gi"}}},
    ),
]
OF_THE_SCHEMA: list[tuple[Spec, str]] = [
    ({"profile": "laptop"}, "Unsupported value"),
    ({"colour": "red"}, "colour"),
    ({"kafka": {**KAFKA, "bootstrapServers": "b-1.example"}}, "bootstrapServers"),
    ({"services": {"patient-service": {"resources": {"limits": {"memory": "plenty"}}}}}, "limits.memory"),
    ({"exposure": {"mode": "gateway-api", "gateways": [{"namespace": "edge"}]}}, r"gateways\[0\].name"),
    ({"auth": {"adminEmail": "nobody"}}, "adminEmail"),
]


@pytest.mark.parametrize(("spec", "reason", "neighbour"), EXCLUSIVE, ids=[reason for _, reason, _ in EXCLUSIVE])
def test_a_spec_that_contradicts_itself_is_refused(
    defined: ControlPlane, namespace: str, spec: Spec, reason: str, neighbour: Spec
) -> None:
    with pytest.raises(KubectlError, match=reason):
        defined.apply(resource(spec), namespace=namespace)
    defined.apply(resource(neighbour), namespace=namespace)


@pytest.mark.parametrize(("first", "spec", "reason", "taken"), IMMUTABLE, ids=[each[2] for each in IMMUTABLE])
def test_what_cannot_be_changed_is_refused_when_it_is(
    defined: ControlPlane, namespace: str, first: Spec, spec: Spec, reason: str, taken: Spec
) -> None:
    defined.apply(resource(first), namespace=namespace)
    with pytest.raises(KubectlError, match=reason):
        defined.apply(resource(spec), namespace=namespace)
    defined.apply(resource(taken), namespace=namespace)


@pytest.mark.parametrize(("spec", "reason"), OF_THE_SCHEMA)
def test_what_the_schema_does_not_know_is_refused(
    defined: ControlPlane, namespace: str, spec: Spec, reason: str
) -> None:
    with pytest.raises(KubectlError, match=reason):
        defined.apply(resource(spec), namespace=namespace)


def test_no_rule_is_untried() -> None:
    of_names = {naming.TOO_LONG, naming.NO_LABEL}  # which tests/operator/test_names.py tries
    worded = {each.sentence for each in Worded.known}  # tests/operator/test_worded.py
    tried = {reason for _, reason, _ in EXCLUSIVE} | {each[2] for each in IMMUTABLE} | of_names | worded
    assert set(_messages(crd.schema())) == tried


def _messages(node: dict[str, Any]) -> Iterator[str]:
    for each in node.get("x-kubernetes-validations", []):
        yield each["message"]
    for field in (*node.get("properties", {}).values(), *(each for each in [node.get("items")] if each)):
        yield from _messages(field)
