"""Infrastructure that is not ours: a PostgreSQL, a Kafka and a Valkey, as an account elsewhere would offer them."""

from typing import Any

from tests.cluster.controlplane import ControlPlane
from tests.engine.standins import image_of

Manifest = dict[str, Any]
DATABASES = ("patient", "appointment", "auth", "billing", "analytics")
PASSWORD = "the-neighbour's-own"
KAFKA = {
    "KAFKA_NODE_ID": "0",
    "KAFKA_PROCESS_ROLES": "controller,broker",
    "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
    "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://bus:9092",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "0@localhost:9093",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
    "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "8",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_HEAP_OPTS": "-Xms128m -Xmx384m",
}
POSTGRES = {"POSTGRES_USER": "owner", "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "owner"}


def bring_up(cluster: ControlPlane, namespace: str) -> None:
    """Start the three and wait until they take connections; leaves a Secret `<service>-login` for each database."""
    cluster.apply(_initial_databases(), *[_login(name) for name in DATABASES], namespace=namespace)
    scripts = {"name": "scripts", "configMap": {"name": "databases"}}
    mount = {"name": "scripts", "mountPath": "/docker-entrypoint-initdb.d"}
    postgres = _pod("rds", image_of("patient-service-db"), POSTGRES, 5432)
    postgres["spec"]["volumes"] = [scripts]
    postgres["spec"]["containers"][0]["volumeMounts"] = [mount]
    kafka = _pod("bus", image_of("kafka"), KAFKA, 9092)
    valkey = _pod("memory", image_of("redis"), {}, 6379)
    ports = {"rds": 5432, "bus": 9092, "memory": 6379}
    services = [_service(name, port) for name, port in ports.items()]
    cluster.apply(postgres, kafka, valkey, *services, namespace=namespace)
    for name in ports:
        cluster.kubectl("wait", "-n", namespace, f"pod/{name}", "--for=condition=Ready", "--timeout=180s", timeout=200)


def values(service: str) -> dict[str, Any]:
    """What a service's chart has to be told to live there."""
    kafka = {"bootstrapServers": "bus:9092"}
    redis = {"host": "memory"}
    if service == "api-gateway":
        return {"redis": redis, "config": {"RATE_LIMITS": "default=5000/10000,auth=500/500"}}
    login = {"existingSecret": f"{service.removesuffix('-service')}-login"}
    told: dict[str, Any] = {"database": login, "kafka": kafka}
    return told | ({"redis": redis} if service in {"patient-service", "appointment-service"} else {})


def _initial_databases() -> Manifest:
    lines = [f"CREATE ROLE {name} LOGIN PASSWORD '{_password(name)}';\n" for name in DATABASES]
    lines += [f"CREATE DATABASE {name} OWNER {name};\n" for name in DATABASES]
    data = {"databases.sql": "".join(lines)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "databases"}, "data": data}


def _login(name: str) -> Manifest:
    data = {"username": name, "password": _password(name), "host": "rds", "port": "5432", "dbname": name}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{name}-login"}, "stringData": data}


def _password(name: str) -> str:
    return f"{name}-has-a-long-password-of-its-own"


def _pod(name: str, image: str, environ: dict[str, str], port: int) -> Manifest:
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": key, "value": value} for key, value in environ.items()],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
    }
    spec = {"containers": [container], "enableServiceLinks": False, "terminationGracePeriodSeconds": 5}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def _service(name: str, port: int) -> Manifest:
    spec = {"selector": {"app": name}, "ports": [{"port": port, "targetPort": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
