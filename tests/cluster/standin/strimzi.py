"""What Strimzi 1.2 says: Kafka and KafkaUser fail as `NotReady=True`, KafkaTopic as `Ready=False`."""

import hashlib
import re
from typing import Any

from tests.cluster.standin.world import (
    Finalizer,
    Invalid,
    Judge,
    Manifest,
    Report,
    World,
    child,
    condition,
    require_secret,
    service,
)

CLUSTER_LABEL = "strimzi.io/cluster"
FINALIZER = "strimzi.io/topic-operator"
RESERVED_PORTS = {9404, 9999}
MADE: dict[str, int] = {}
"""By a topic's uid, the replicas that it has."""


def kafka(resource: Manifest, world: World) -> Report:
    """Ready with brokers and controllers; bad `config` and metadata versions go through, as in the original."""
    meta, spec = resource["metadata"], resource["spec"]["kafka"]
    pools = [pool for pool in world.all("KafkaNodePool.kafka.strimzi.io", meta["namespace"]) if _of(pool, meta["name"])]
    _check_pools(pools)
    _check_listeners(spec["listeners"])
    status = {
        "listeners": [_listener(meta, listener) for listener in spec["listeners"]],
        "kafkaNodePools": [{"name": pool["metadata"]["name"]} for pool in pools],
        "clusterId": _stable(meta["uid"], 22),
        "kafkaVersion": spec.get("version", "4.3.1"),
        "conditions": [condition("Ready", True)],
    }
    name = meta["name"]
    selector = {CLUSTER_LABEL: name, "strimzi.io/broker-role": "true"}
    bootstraps = [
        service(resource, f"{name}-kafka-bootstrap", spec["listeners"][0]["port"], selector),
        child(resource, "Secret", f"{name}-cluster-ca-cert", stringData={"ca.crt": _certificate(name)}),
    ]
    return Report(status, bootstraps)


def node_pool(resource: Manifest, world: World) -> Report:
    """A pool of a Kafka that exists; the others get no word."""
    owner = resource["metadata"].get("labels", {}).get(CLUSTER_LABEL)
    if not owner or not world.find("Kafka.kafka.strimzi.io", resource["metadata"]["namespace"], owner):
        return Report(None)
    spec = resource["spec"]
    nodes = list(range(spec["replicas"]))
    return Report({"roles": spec["roles"], "replicas": spec["replicas"], "nodeIds": nodes})


def topic(resource: Manifest, world: World) -> Report:
    """Without the label of a Kafka that exists a topic never gets a status."""
    meta = resource["metadata"]
    owner = meta.get("labels", {}).get(CLUSTER_LABEL)
    if not owner or not world.find("Kafka.kafka.strimzi.io", meta["namespace"], owner):
        return Report(None)
    name = resource["spec"].get("topicName", meta["name"])
    if not re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", name):
        raise Invalid(f"org.apache.kafka.common.errors.InvalidTopicException: {name} is no topic name")
    made = {"topicName": name, "topicId": _stable(meta["uid"], 22)}
    return Report({**made, "conditions": [_replication(resource, world)]})


def _replication(resource: Manifest, world: World) -> Manifest:
    """A topic keeps the replicas that it was made with; Cruise Control, where there is some, changes them at once."""
    meta, spec = resource["metadata"], resource["spec"]
    owner = world.find("Kafka.kafka.strimzi.io", meta["namespace"], meta["labels"][CLUSTER_LABEL]) or {"spec": {}}
    replicas = spec.get("replicas", 1)
    if MADE.setdefault(meta["uid"], replicas) == replicas or "cruiseControl" in owner["spec"]:
        MADE[meta["uid"]] = replicas
        return condition("Ready", True)
    said = "Replication factor change not supported, but required for partitions [0, 1, 2]"
    return condition("Ready", False, "NotSupported", said)


def finalizer(resource: Manifest, world: World, *, clinging: bool) -> Finalizer | None:
    """The topic operator's, while its Kafka is there; `clinging` is one that is not told to do without."""
    meta = resource["metadata"]
    owner = meta.get("labels", {}).get(CLUSTER_LABEL)
    home = world.find("Kafka.kafka.strimzi.io", meta["namespace"], owner) if owner else None
    if resource["kind"] != "KafkaTopic" or home is None or "deletionTimestamp" in home["metadata"]:
        return None
    container = home["spec"].get("entityOperator", {}).get("template", {}).get("topicOperatorContainer", {})
    without = {"name": "STRIMZI_USE_FINALIZERS", "value": "false"} in container.get("env", [])
    return FINALIZER, (clinging or not without) and "deletionTimestamp" not in meta


def user(resource: Manifest, world: World) -> Report:
    """A user gets a Secret of its name; a password taken from elsewhere has to be there."""
    meta = resource["metadata"]
    owner = meta.get("labels", {}).get(CLUSTER_LABEL)
    if not owner or not world.find("Kafka.kafka.strimzi.io", meta["namespace"], owner):
        return Report(None)
    authentication = resource["spec"].get("authentication", {})
    given = authentication.get("password", {}).get("valueFrom", {}).get("secretKeyRef")
    if given:
        require_secret(world, meta["namespace"], given, "requested user password")
    status = {"username": meta["name"], "secret": meta["name"], "conditions": [condition("Ready", True)]}
    password = _stable(meta["uid"], 32)
    if authentication.get("type") != "scram-sha-512" or given:
        return Report(status)
    return Report(status, [child(resource, "Secret", meta["name"], stringData={"password": password})])


def failed(kind: str, reason: str) -> Manifest:
    """How Strimzi reports that a resource of this kind cannot be brought up."""
    if kind == "KafkaTopic":
        return {"conditions": [condition("Ready", False, "KafkaError", reason)]}
    return {"conditions": [condition("NotReady", True, "InvalidResourceException", reason)]}


def _check_pools(pools: list[Manifest]) -> None:
    roles = {role for pool in pools for role in pool["spec"]["roles"]}
    for role in ("controller", "broker"):
        if role not in roles:
            raise Invalid(f"At least one KafkaNodePool with the {role} role and at least one replica is required.")


def _check_listeners(listeners: list[Manifest]) -> None:
    for key in ("name", "port"):
        values = [listener[key] for listener in listeners]
        if len(set(values)) < len(values):
            raise Invalid(f"every listener needs to have a unique {key}")
    for listener in listeners:
        if listener["port"] < 9092 or listener["port"] in RESERVED_PORTS:
            raise Invalid(f"port {listener['port']} is forbidden and cannot be used")


def _listener(meta: Manifest, listener: Manifest) -> Manifest:
    host = f"{meta['name']}-kafka-bootstrap.{meta['namespace']}.svc"
    found: dict[str, Any] = {
        "name": listener["name"],
        "addresses": [{"host": host, "port": listener["port"]}],
        "bootstrapServers": f"{host}:{listener['port']}",
    }
    return found | ({"certificates": [_certificate(meta["name"])]} if listener["tls"] else {})


def _of(resource: Manifest, cluster: str) -> bool:
    return bool(resource["metadata"].get("labels", {}).get(CLUSTER_LABEL) == cluster)


def _stable(seed: str, length: int) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()[:length]


def _certificate(name: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{_stable(name, 64)}\n-----END CERTIFICATE-----\n"


JUDGES: dict[str, Judge] = {
    "Kafka.kafka.strimzi.io": kafka,
    "KafkaNodePool.kafka.strimzi.io": node_pool,
    "KafkaTopic.kafka.strimzi.io": topic,
    "KafkaUser.kafka.strimzi.io": user,
}
